"""The stress test: what a bundle does where it is pushed, which limits follow, and whether it may be promoted."""
