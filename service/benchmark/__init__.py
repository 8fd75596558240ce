"""Benchmarks of the running service: a load from outside, and the bare program it is compared with."""
