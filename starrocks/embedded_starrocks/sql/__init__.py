"""From StarRocks' SQL to DuckDB's: parsing, rewriting, DDL, SHOW."""
