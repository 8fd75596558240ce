"""From listening logs to a judged, sealed bundle; PyTorch lives here and nowhere else."""
