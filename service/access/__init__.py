"""Who may do what: keys with scopes, each of one app, and how often and how slowly they may call."""
