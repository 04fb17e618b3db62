"""The dbt models as assets, their tests as asset checks, and the building of them."""
