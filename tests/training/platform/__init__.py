"""The simulated platform behaves as its decision page says."""
