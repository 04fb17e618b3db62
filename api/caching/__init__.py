"""Answers kept for as long as the data that they were made of stays the same."""
