"""The hidden worlds, one file each, on the one engine."""
