"""Records posted to the manager's port, once, as a sender would."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import Any

from tests.support.platform import Platform


def post_rows(
    platform: Platform,
    dataset: str,
    rows: list[dict[str, Any]],
    *,
    port: int | None = None,
    timeout: float = 10.0,
) -> int:
    """Return the status, 0 when there was no answer; 200 means that every row was accepted.

    port: of another manager than the platform's own. timeout: in seconds.
    """
    request = urllib.request.Request(
        f"http://127.0.0.1:{port or platform.settings.manager_port}/v1/records/{dataset}",
        data=json.dumps(rows).encode(),
        headers={"Authorization": f"Bearer {platform.context.credentials.ingest_token}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            accepted = json.load(answer)["accepted"]
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except (OSError, http.client.HTTPException):  # also an answer that was cut off
        return 0
    assert accepted == len(rows)
    return 200
