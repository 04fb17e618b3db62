"""The text of an API key, ``emdata_<prefix>_<secret>``, and whether it is right."""

from __future__ import annotations

import re
from datetime import datetime
from hmac import compare_digest

from emdata.state.access import Key
from emdata.state.api_keys import PREFIX_LENGTH, secret_hash

_TOKEN = re.compile(rf"emdata_([a-z2-7]{{{PREFIX_LENGTH}}})_([A-Za-z0-9_-]{{43}})")
LONGEST = 128


def parts_of(token: str) -> tuple[str, str] | None:
    """Return prefix and secret, or None for what no key looks like."""
    match = _TOKEN.fullmatch(token) if len(token) <= LONGEST else None
    return None if match is None else (match[1], match[2])


def is_right(key: Key | None, secret: str, now: datetime) -> bool:
    """Whether a secret is that of a key in force; as long for a key that is not there."""
    expected = bytes(32) if key is None else key.secret_hash
    is_same = compare_digest(secret_hash(secret), expected)
    return key is not None and is_same and key.revoked_at is None and now < key.expires_at
