"""Reading StarRocks: connections, time caps, and the versions that answers are cached by."""
