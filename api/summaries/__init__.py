"""The questions that people ask first, each answered in one request."""
