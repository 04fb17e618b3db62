"""The roof: the command line, the supervisor and the services it runs."""
