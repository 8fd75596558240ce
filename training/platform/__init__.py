"""The simulated platform: a listening log whose truth is known, and the truth itself."""
