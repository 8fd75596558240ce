"""Judges: who says what a policy is worth, other than the world model it was tuned on.

Known truth, world models of other listeners, and logged outcomes whose propensity is known; each has a file, and
`paired` is what they share. Source: SCIENCE, where the paper is weak (1); docs/decisions/judges.md.
"""
