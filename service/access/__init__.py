"""Who may call: nobody but this machine, or whoever holds a key."""
