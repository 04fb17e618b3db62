"""Bulk files of the landed tables: one asset a dataset, built every hour."""
