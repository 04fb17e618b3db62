"""The stream manager, asked by people who write assets of their own."""

from __future__ import annotations

from typing import Any

from dagster import ConfigurableResource
from pydantic import Field

from emdata.errors import ServiceError


class ManagerResource(ConfigurableResource[Any]):
    """Reads the stream manager's health and status."""

    url: str = Field(
        description="base address of the stream manager; of active and standby with a comma between"
    )

    def health(self) -> dict[str, Any]:
        """Return the manager's health, healthy or not; raises ServiceError without an answer."""
        return self._get("/health", {200, 503})

    def status(self) -> dict[str, Any]:
        """Return queues, buffer, streams and modes; raises ServiceError without an answer."""
        return self._get("/status", {200})

    def _get(self, path: str, good: set[int]) -> dict[str, Any]:
        """Ask them in turn; a standby answers only where no active manager does."""
        answers, reasons = [], []
        for url in self.url.split(","):
            try:
                answers.append(self._ask(url, path, good))
            except ServiceError as error:
                reasons.append(str(error))
                continue
            if "standby" not in (answers[-1].get("status"), answers[-1].get("role")):
                return answers[-1]
        if answers:
            return answers[0]
        raise ServiceError("; ".join(reasons))

    def _ask(self, url: str, path: str, good: set[int]) -> dict[str, Any]:
        import httpx2

        try:
            answer = httpx2.get(url + path, timeout=10.0)
            if answer.status_code not in good:
                raise ServiceError(f"stream manager {url}{path}: HTTP {answer.status_code}")
            return dict(answer.json())
        except (httpx2.HTTPError, ValueError) as error:
            raise ServiceError(f"stream manager {url}{path}: {error}") from error
