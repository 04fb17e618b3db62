"""How clients reach the servers: who they are there, and whose certificates they trust."""
