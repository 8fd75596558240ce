"""The networks: pure functions of their weights; how they are trained is written elsewhere."""
