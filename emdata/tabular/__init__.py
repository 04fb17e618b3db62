"""Rows from StarRocks as tables in files: Arrow, Parquet, GeoParquet, CSV.

Shared by the API's exports and by the bulk files, so that both say the same about a column.
"""
