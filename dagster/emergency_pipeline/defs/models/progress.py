"""How many rows of each dataset the models were last built from, kept in Dagster's storage.

The marks lie beside the runs they belong to: a new data directory starts without both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from dagster import DagsterInstance

KEY = "emergency_pipeline/rows_built"


def read_built(instance: DagsterInstance) -> dict[str, int]:
    """Return the landed rows per dataset at the last successful build of its models."""
    text = instance.daemon_cursor_storage.get_cursor_values({KEY}).get(KEY)
    return {} if text is None else {str(k): int(v) for k, v in json.loads(text).items()}


def write_built(instance: DagsterInstance, rows: Mapping[str, int]) -> None:
    """Remember the landed rows that a successful build of the models has seen."""
    built = {**read_built(instance), **rows}
    instance.daemon_cursor_storage.set_cursor_values({KEY: json.dumps(built, sort_keys=True)})
