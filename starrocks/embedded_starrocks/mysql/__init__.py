"""MySQL's client protocol: framing, authentication, sessions, result sets."""
