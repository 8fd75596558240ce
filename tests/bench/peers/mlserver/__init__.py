"""The job on MLServer."""
