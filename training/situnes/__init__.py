"""SiTunes as a benchmark: what the world model's encoding of a history is worth on real listeners."""
