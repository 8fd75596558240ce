"""One metric per file: what a prediction, a ranking or an exposure is worth."""
