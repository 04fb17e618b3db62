"""StarRocks functions that are more than a call under another name, by subject."""
