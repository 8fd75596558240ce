"""The journal: SQL, the system of record. What was acknowledged is in it; the rest can be rebuilt from it."""
