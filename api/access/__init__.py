"""Who asks, what they may see, how much they may ask for, and what is kept about it."""
