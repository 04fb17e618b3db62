"""Readers of every kind, as locust has them."""
