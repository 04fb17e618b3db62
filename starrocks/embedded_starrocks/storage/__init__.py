"""What is kept: the DuckDB file, metadata, tables, loads."""
