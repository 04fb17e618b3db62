"""A local server that speaks the sources' own formats, from a seed."""
