"""Memory: what SQL knows of a listener, packed in Redis for one round trip a song. All of it can be lost."""
