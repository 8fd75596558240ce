"""The job on BentoML."""
