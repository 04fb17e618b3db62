"""What the layers of fairness share in one process: limits, slots, refusals."""

from __future__ import annotations

from starlette.types import Scope

from api.access.caller import Caller
from api.access.network import networks as read_networks
from api.fairness.limiter import Limiter, Limits, NoLimits
from api.fairness.networks import Networks
from api.fairness.refusals import Refusals
from api.fairness.slots import Slots
from api.fairness.stores import PostgresStore, Store
from emdata.clock import Clock
from emdata.errors import SettingError
from emdata.settings import Settings


class Fairness:
    """Limits, slots and refusals of one process."""

    def __init__(self, limiter: Limits, networks: Networks, slots: Slots, clock: Clock) -> None:
        self.limiter, self.networks, self.slots, self.clock = limiter, networks, slots, clock
        self.refusals = Refusals()

    @classmethod
    def of(cls, settings: Settings, dsn: str, clock: Clock) -> Fairness:
        """Return the fairness of a process; ``dsn`` is PostgreSQL's address.

        Raises SettingError when Redis is chosen and not named.
        """
        networks = Networks(clock, read_networks(settings.api_trusted_proxies))
        workers = settings.api_workers
        limiter: Limits = NoLimits()
        if settings.api_limits != "off":
            limiter = Limiter(_store(settings, dsn), networks, clock, workers)
        return cls(limiter, networks, Slots(settings.api_running, workers), clock)

    def payer(self, caller: Caller, scope: Scope) -> str:
        """Return whose limits a request counts against: an organization's, or a network's."""
        if caller.is_anonymous:
            return f"network:{self.networks.name(scope)}"
        return f"organization:{caller.organization}"


def _store(settings: Settings, dsn: str) -> Store:
    if settings.api_limits == "postgres":
        return PostgresStore(dsn)
    if settings.api_redis_url is None:
        raise SettingError(
            "EMDATA_API_REDIS_URL", value="(empty)", allowed="redis://host:port/number",
            fix="name the Redis, or set EMDATA_API_LIMITS=postgres",
        )  # fmt: skip
    from api.fairness.redis_store import RedisStore

    return RedisStore(settings.api_redis_url.get_secret_value())
