"""Pages that are generated from the code: settings, commands, metrics, datasets."""
