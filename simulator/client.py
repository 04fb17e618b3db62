"""A small client of the simulator's administration, for the command line and for tests."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any, Literal

import msgspec

from emdata.errors import ServiceError

_TIMEOUT = 60.0


def ask(base: str, method: Literal["GET", "POST", "DELETE"], path: str, body: object = None) -> Any:
    """Send a request and return the decoded JSON answer.

    Raises ServiceError when the simulator does not answer, or with its reason when it refuses.
    """
    return msgspec.json.decode(_send(base, method, path, body))


def text(base: str, path: str) -> str:
    """Return the text at ``path``; raises ServiceError as ``ask`` does."""
    return _send(base, "GET", path, None).decode()


def _send(base: str, method: str, path: str, body: object) -> bytes:
    data = None if body is None else msgspec.json.encode(body)
    request = urllib.request.Request(base + path, data=data, method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
            content: bytes = answer.read()
            return content
    except urllib.error.HTTPError as error:
        problem = msgspec.json.decode(error.read() or b"{}")
        raise ServiceError(f"simulator refused {path}: {problem.get('detail', error)}") from None
    except (urllib.error.URLError, OSError) as error:
        raise ServiceError(f"simulator at {base} does not answer: {error}") from None
