"""A client of the manager, and writing without it."""
