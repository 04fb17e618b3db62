"""Ask the stream manager for polls, wait until they landed, build the models with new rows."""
