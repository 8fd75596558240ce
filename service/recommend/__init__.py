"""The road a request travels, one way: encode, match, predict, guard, choose. Every step is a function of values."""
