"""Sub-commands of `emdata`; every module here adds its own to the root command."""
