"""The door itself: connections, sizes and deadlines, before any of them costs us much."""
