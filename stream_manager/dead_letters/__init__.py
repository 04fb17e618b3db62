"""Dead letters driven again."""
