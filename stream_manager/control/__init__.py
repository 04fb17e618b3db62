"""What decides about streams: priority, limits, breakers, throttling, quotas."""
