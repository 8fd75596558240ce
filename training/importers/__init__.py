"""From somebody else's files to a listening log: one module per source, each a function that returns a `Log`.

An importer converts scales once, refuses what it does not understand with the place where it stands, and drops
nothing in silence. It never writes: `models.log.write_log` does, whole or not at all.
"""
