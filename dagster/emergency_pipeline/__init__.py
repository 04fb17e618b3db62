"""Dagster definitions of the platform: it asks the stream manager and never ingests itself."""
