"""Contract -> topic, StarRocks DDL, Flink SQL, dbt YAML: pure functions over one type table."""
