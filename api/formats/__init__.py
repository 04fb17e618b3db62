"""Rows out, in the formats that tools already open; one module a format."""
