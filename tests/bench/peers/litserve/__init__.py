"""The job on LitServe."""
