"""Limits as header fields: draft-ietf-httpapi-ratelimit-headers-11, sections 3 and 4."""

from __future__ import annotations

import math
from functools import lru_cache

from api.access.caller import Policy
from api.fairness.budget import DAY_SECONDS, Decision

Headers = list[tuple[bytes, bytes]]
POLICY, STATE = b"ratelimit-policy", b"ratelimit"


@lru_cache(maxsize=256)
def policy_field(per_minute: int, per_day: int) -> bytes:
    """Return ``RateLimit-Policy``: the quotas, their sizes and their windows in seconds."""
    return f'"minute";q={per_minute};w=60, "day";q={per_day};w={DAY_SECONDS}'.encode()


def limit_headers(policy: Policy, decision: Decision) -> Headers:
    """Return what an answer says about the caller's limits: what is left, and until when."""
    seconds = math.ceil(decision.seconds) if decision.limit == "minute" else 0
    state = (
        f'"minute";r={decision.remaining};t={seconds}, '
        f'"day";r={decision.day_remaining};t={math.ceil(decision.day_seconds)}'
    )
    return [
        (POLICY, policy_field(policy.requests_per_minute, policy.requests_per_day)),
        (STATE, state.encode()),
    ]
