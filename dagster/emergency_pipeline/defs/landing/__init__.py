"""What has landed: materializations of the raw tables, and checks of their contracts."""
