"""One module per server of the platform."""
