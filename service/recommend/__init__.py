"""The road a request travels, one way: encode, match, predict, guard, choose; each a function of values."""
