"""Flink landing and window jobs: planned as SQL here, submitted from an environment of their own."""
