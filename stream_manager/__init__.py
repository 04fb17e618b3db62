"""The stream manager: the only door into Kafka."""
