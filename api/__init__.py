"""Room of the public API; it has no code yet."""
