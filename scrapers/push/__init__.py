"""Push connectors: sources that send by themselves."""
