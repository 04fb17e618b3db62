"""The embedded StarRocks against bare DuckDB in this process, on the same rows."""
