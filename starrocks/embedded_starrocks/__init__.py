"""A stand-in for StarRocks: DuckDB behind StarRocks' own protocols."""
