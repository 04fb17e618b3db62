"""What the API offers: collections found in the contracts and in the dbt project."""
