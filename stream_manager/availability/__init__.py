"""Who owns a buffer, and how another manager takes it over."""
