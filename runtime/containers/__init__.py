"""The platform with docker compose: what runs in its containers, and how the host drives them."""
