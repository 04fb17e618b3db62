"""Records as they are accepted: one reader of Kafka a topic, any number of listeners.

``tail`` keeps the newest messages of a topic; a listener (``following``) is a place in it, so that
a slow one costs nothing. Older messages come from Kafka, by the position that a listener names.
"""
