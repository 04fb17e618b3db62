"""From the parameters of a request to one SELECT with bound values."""
