"""Scrapers: the outside world comes in, one file per source."""
