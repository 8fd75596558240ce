"""Studies: one file per table of the documentation, each a command that prints it."""
