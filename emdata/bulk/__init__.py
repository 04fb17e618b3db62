"""Bulk files: what was accepted on one UTC day of one dataset, as GeoParquet and as CSV.gz.

``manifest`` says what there is, ``shelf`` reads it, ``build`` makes it; the API serves it.
"""
