"""Copies of the buffer elsewhere, and their replay."""
