"""The HTTP side on 8030: health, stream load, transactions, metrics."""
