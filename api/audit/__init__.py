"""The audit log of the API: written before the answer it is about."""
