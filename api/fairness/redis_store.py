"""Buckets in Redis or Valkey: one script answers for all wants, by the clock of the server."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import date
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from api.fairness.budget import DAY_SECONDS, Grant, Want
from api.fairness.stores import SALT_BYTES
from emdata.errors import StateUnavailable

PREFIX = "emdata:api:"
KEPT_MS = 2 * DAY_SECONDS * 1000
# The same arithmetic as api_take_tokens of PostgreSQL. Numbers go out as text: Redis cuts them.
_TAKE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local today = math.floor(now / 86400)
local answers = {}
for i, key in ipairs(KEYS) do
  local a = (i - 1) * 6
  local wanted, returned, spent = tonumber(ARGV[a+1]), tonumber(ARGV[a+2]), tonumber(ARGV[a+3])
  local rate, burst, per_day = tonumber(ARGV[a+4]), tonumber(ARGV[a+5]), tonumber(ARGV[a+6])
  local known = redis.call('HMGET', key, 'tokens', 'at', 'day', 'used')
  local tokens, at = tonumber(known[1]) or burst, tonumber(known[2]) or now
  local day, used = tonumber(known[3]) or today, tonumber(known[4]) or 0
  tokens = math.min(burst, tokens + returned + rate * math.max(0, now - at))
  if day < today then used = 0 end
  used = math.max(0, used - returned + spent)
  local granted = math.max(0, math.min(wanted, math.floor(tokens), per_day - used))
  tokens, used = tokens - granted, used + granted
  redis.call('HSET', key, 'tokens', string.format('%.17g', tokens),
    'at', string.format('%.17g', math.max(now, at)), 'day', math.max(day, today), 'used', used)
  redis.call('PEXPIRE', key, __KEPT__)
  answers[#answers + 1] = granted
  answers[#answers + 1] = string.format('%.17g', tokens)
  answers[#answers + 1] = math.max(0, per_day - used)
end
answers[#answers + 1] = string.format('%.17g', (today + 1) * 86400 - now)
return answers
""".replace("__KEPT__", str(KEPT_MS))


class RedisStore:
    """Buckets in Redis; see ``stores.Store``. One node, or a cluster's primary of all keys."""

    def __init__(self, url: str) -> None:
        self._redis: Any = Redis.from_url(url, socket_timeout=1.0, socket_connect_timeout=1.0)
        self._take = self._redis.register_script(_TAKE)

    async def take(self, wants: Sequence[Want]) -> list[Grant]:
        """See Store."""
        keys: list[str] = []
        values: list[float] = []
        for want in wants:
            budget = want.budget
            keys.append(f"{PREFIX}bucket:{want.key}")
            values += [want.tokens, want.returned, want.spent]
            values += [budget.rate, budget.burst, budget.per_day]
        try:
            *answers, day_seconds = await self._take(keys=keys, args=values)
        except (RedisError, OSError) as error:
            raise StateUnavailable(f"Redis: {error}") from error
        rows = zip(*[iter(answers)] * 3, strict=True)
        return [
            Grant(int(tokens), float(left), int(day_left), float(day_seconds))
            for tokens, left, day_left in rows
        ]

    async def salt(self, day: date) -> bytes:
        """See Store; it expires by itself."""
        key, made = f"{PREFIX}salt:{day.isoformat()}", secrets.token_bytes(SALT_BYTES)
        try:
            # A day and some hours: whoever's clock is late may still ask for it.
            await self._redis.set(key, made, nx=True, ex=DAY_SECONDS + 3600)
            return bytes(await self._redis.get(key))
        except (RedisError, OSError) as error:
            raise StateUnavailable(f"Redis: {error}") from error

    async def prune(self) -> None:
        """Ask whether it is there; keys expire by themselves."""
        try:
            await self._redis.ping()
        except (RedisError, OSError) as error:
            raise StateUnavailable(f"Redis: {error}") from error

    async def close(self) -> None:
        """See Store."""
        await self._redis.aclose()
