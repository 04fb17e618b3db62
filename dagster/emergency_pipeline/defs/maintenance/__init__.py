"""Dagster's own housekeeping."""
