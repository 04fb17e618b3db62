"""The lineage that no model knows of: upstream sources, Flink's inserts, landed tables."""
