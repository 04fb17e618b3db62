"""One poll: what it takes, counts and rejects, and the COMMIT that ends it."""
