"""Flink landing and window jobs: planned as SQL here, submitted from their own environment."""
