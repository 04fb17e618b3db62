"""Records that organizations submit: read and checked here, made durable by the stream manager."""
