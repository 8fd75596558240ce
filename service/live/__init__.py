"""The live bundle: its graphs, the catalogue as its graphs want it, and the holder that swaps it whole."""
