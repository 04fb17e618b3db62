"""Who may ask how much: rates, daily quotas, requests at once, and what a query may cost."""
