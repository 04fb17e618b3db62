"""What the Prometheus of a platform in containers knows."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from typing import Any

from tests.containers.compose_platform import ComposePlatform


class Watching:
    """Prometheus and Alertmanager of one platform."""

    def __init__(self, platform: ComposePlatform) -> None:
        self._platform = platform

    def targets(self) -> dict[str, set[str]]:
        """Health of the targets (up, down, unknown) by job."""
        found: dict[str, set[str]] = {}
        for target in self._ask("targets", state="active")["activeTargets"]:
            found.setdefault(target["labels"]["job"], set()).add(target["health"])
        return found

    def names(self) -> set[str]:
        """Names of all time series that were ever scraped."""
        return set(self._ask("label/__name__/values"))

    def values(self, expression: str) -> list[float]:
        """What an expression is now."""
        rows = self._ask("query", query=expression)["result"]
        return [float(row["value"][1]) for row in rows]

    def told(self) -> set[str]:
        """Names of the alerts that Alertmanager was told of and that are not over."""
        url = "http://alertmanager:9093/api/v2/alerts"
        text = self._platform.compose.ask("exec", "-T", "prometheus", "wget", "-q", "-O", "-", url)
        return {alert["labels"]["alertname"] for alert in json.loads(text)}

    def _ask(self, path: str, **parameters: str) -> Any:
        port = self._platform.settings.prometheus_port
        query = urllib.parse.urlencode(parameters)
        url = f"http://127.0.0.1:{port}/api/v1/{path}?{query}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.loads(answer.read())["data"]
