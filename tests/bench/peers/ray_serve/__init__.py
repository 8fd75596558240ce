"""The job on Ray Serve."""
