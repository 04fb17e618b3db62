"""Asking a running Dagster over GraphQL."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from tests.support.platform import Platform

SELECTOR = {"repositoryName": "__repository__", "repositoryLocationName": "emergency_pipeline"}


def ask(platform: Platform, query: str, **variables: Any) -> Any:
    """Ask Dagster's GraphQL."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{platform.settings.dagster_port}/graphql",
        data=json.dumps({"query": query, "variables": variables}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        body = json.load(answer)
    assert "errors" not in body, body["errors"]
    return body["data"]


def launch(platform: Platform, job: str) -> str:
    """Start a job; return its run id."""
    data = ask(
        platform,
        """mutation($p: ExecutionParams!) { launchRun(executionParams: $p) { __typename
        ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }""",
        p={"selector": {**SELECTOR, "jobName": job}, "runConfigData": {}},
    )["launchRun"]
    assert data["__typename"] == "LaunchRunSuccess", data
    return str(data["run"]["runId"])


def ended(platform: Platform, run_id: str) -> str | None:
    """The status of a run that ended, else None."""
    data = ask(
        platform, "query($i: ID!) { runOrError(runId: $i) { ... on Run { status } } }", i=run_id
    )
    status = str(data["runOrError"]["status"])
    return status if status in {"SUCCESS", "FAILURE", "CANCELED"} else None


def runs(platform: Platform, job: str) -> list[dict[str, Any]]:
    """Runs of a job, newest first: ``runId``, ``status``, ``tags`` as a dict."""
    found = ask(
        platform,
        """query($f: RunsFilter!) { runsOrError(filter: $f, limit: 20) { ... on Runs { results {
        runId status tags { key value } } } } }""",
        f={"pipelineName": job},
    )["runsOrError"]["results"]
    return [{**run, "tags": {tag["key"]: tag["value"] for tag in run["tags"]}} for run in found]


def latest_rows(platform: Platform, *path: str) -> float | None:
    """Row count that the newest materialization of an asset says, None without one."""
    node = ask(
        platform,
        """query($k: AssetKeyInput!) { assetOrError(assetKey: $k) { ... on Asset {
        assetMaterializations(limit: 1) { metadataEntries { label
        ... on IntMetadataEntry { intValue } } } } } }""",
        k={"path": list(path)},
    )["assetOrError"]
    for event in node.get("assetMaterializations", []):
        for entry in event["metadataEntries"]:
            if entry["label"] == "dagster/row_count":
                return float(entry["intValue"])
    return None
