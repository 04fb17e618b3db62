"""The network that a client belongs to, under a name that no day's end survives."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, date

from starlette.types import Scope

from api.access.network import Network, client_address, network_of
from emdata.clock import Clock

KEPT = 10_000
NAME_BYTES = 12


class Networks:
    """Names networks by HMAC under a salt of the UTC day, which nothing keeps beyond the day.

    Until the shared salt of a day is known, a random one of this process stands in for it.
    trusted: proxies whose X-Forwarded-For is read.
    """

    def __init__(self, clock: Clock, trusted: Sequence[Network] = ()) -> None:
        self._clock, self._trusted = clock, tuple(trusted)
        self._day = clock.now().astimezone(UTC).date()
        self._salt, self._is_shared = secrets.token_bytes(32), False
        self._names: OrderedDict[str, str] = OrderedDict()

    def needs_salt(self) -> date | None:
        """Return the day whose shared salt is not in use yet, or None."""
        self._begin_day()
        return None if self._is_shared else self._day

    def use(self, day: date, salt: bytes) -> None:
        """Name networks under the shared salt of a day, if it is today's."""
        self._begin_day()
        if day == self._day:
            self._salt, self._is_shared = salt, True
            self._names.clear()

    def name(self, scope: Scope) -> str:
        """Return the name of the network that a request came from: /24, of IPv6 /56."""
        self._begin_day()
        if self._trusted:
            address = str(client_address(scope, self._trusted))
        else:
            client = scope.get("client")
            address = str(client[0]) if client else ""
        known = self._names.get(address)
        if known is None:
            peer = {"client": (address, 0), "headers": ()}
            network = network_of(client_address(peer, ())).encode()
            known = hmac.digest(self._salt, network, hashlib.sha256)[:NAME_BYTES].hex()
            self._names[address] = known
            if len(self._names) > KEPT:
                self._names.popitem(last=False)
        return known

    def _begin_day(self) -> None:
        """Forget yesterday's salt, and with it whom its names meant."""
        today = self._clock.now().astimezone(UTC).date()
        if today != self._day:
            self._day, self._is_shared = today, False
            self._salt = secrets.token_bytes(32)
            self._names.clear()
