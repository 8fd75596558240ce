"""Seen from outside: metrics and logs, neither of which ever holds a report, a history or a listener's id."""
