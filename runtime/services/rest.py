"""Small HTTP requests to our own servers on loopback; no library, no retries, always a deadline."""

from __future__ import annotations

import http.client
import json
from typing import Any

from runtime.services.base import LOOPBACK, NotReady, require_port


def get(port: int, path: str, *, timeout: float = 3.0) -> bytes:
    """GET a path; the body of a 200 answer. Raises NotReady for anything else."""
    return _request(port, "GET", path, None, timeout)


def get_json(port: int, path: str, *, timeout: float = 3.0) -> Any:
    """GET a path and decode its JSON; raises NotReady."""
    return _decode(path, get(port, path, timeout=timeout))


def post_json(port: int, path: str, body: object, *, timeout: float = 5.0) -> Any:
    """POST a JSON body and decode the JSON answer; raises NotReady."""
    return _decode(path, _request(port, "POST", path, json.dumps(body).encode(), timeout))


def _request(port: int, method: str, path: str, body: bytes | None, timeout: float) -> bytes:
    require_port(port)
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout)
    try:
        headers = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        text = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise NotReady(f"{path}: {type(error).__name__}: {error}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise NotReady(f"{path}: HTTP {answer.status}: {text[:200].decode(errors='replace')}")
    return text


def _decode(path: str, text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise NotReady(f"{path}: no JSON: {error}") from error
