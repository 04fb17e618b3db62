"""StarRocks for people who write assets of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dagster import ConfigurableResource
from pydantic import Field

from emdata.warehouse import Warehouse
from emergency_pipeline.site import load_site


class StarRocksResource(ConfigurableResource[Any]):
    """Queries over the MySQL protocol; the password is read when it is used."""

    host: str = Field(description="front end host")
    port: int = Field(description="port of the MySQL protocol")
    user: str = Field(description="StarRocks user")
    timeout_seconds: float = Field(default=60.0, gt=0, description="for connect, read and write")

    def get_warehouse(self) -> Warehouse:
        """Return a thin client; it opens one connection a call."""
        site = load_site()
        return Warehouse(
            self.host,
            self.port,
            self.user,
            site.credentials().starrocks_password,
            timeout=self.timeout_seconds,
            ca_file=site.settings.starrocks_ca_file,
        )

    def query(self, sql: str, args: Sequence[Any] | None = None) -> list[dict[str, Any]]:
        """Return all rows of a statement as dicts by column name.

        Raises WarehouseUnavailable and WarehouseError.
        """
        return self.get_warehouse().query(sql, args)
