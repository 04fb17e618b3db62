"""Dagster definitions of the platform."""
