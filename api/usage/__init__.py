"""What was asked: access log, metrics, and the dataset ``api_usage``."""
