"""Policies: whatever scores the catalogue as a history's next song. One file per idea, one protocol for all."""
