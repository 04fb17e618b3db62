"""From the queues to Kafka, released on its reports."""
