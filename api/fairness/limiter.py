"""Spends leased tokens, and asks the shared store for more of all buckets in one call at a time."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from api import metrics
from api.fairness.budget import DAY_SECONDS, Account, Budget, Decision, Grant, Want
from api.fairness.networks import Networks
from api.fairness.stores import Store
from emdata.clock import Clock
from emdata.errors import StateUnavailable
from emdata.telemetry import get_logger

log = get_logger(__name__)
ACCOUNTS = 50_000
BATCH = 500
ANSWER_SECONDS = 0.5  # a request never waits longer for the store
AGAIN_SECONDS = 2.0  # how often a store that is away is tried again
SWEEP_SECONDS = 0.5
PRUNE_SECONDS = 3600.0
ROUNDS = 3  # how often one request asks for a token that others got


class Limits(Protocol):
    """What decides whether one more request of somebody may go on."""

    async def start(self) -> None:
        """Begin, in the event loop that decides."""
        ...

    async def stop(self) -> None:
        """End."""
        ...

    async def take(self, key: str, budget: Budget) -> Decision:
        """Return whether one more request of a bucket may go on."""
        ...


class NoLimits:
    """Lets everything pass: something in front of this process limits already."""

    async def start(self) -> None:
        """See Limits."""

    async def stop(self) -> None:
        """See Limits."""

    async def take(self, key: str, budget: Budget) -> Decision:
        """See Limits."""
        return Decision(True, "minute", 0.0, budget.burst, budget.per_day, DAY_SECONDS)


class Limiter:
    """Decides on requests; one per process. ``workers`` share each budget while the store is away.

    ``start`` and ``stop`` belong to the event loop that decides.
    """

    def __init__(self, store: Store, networks: Networks, clock: Clock, workers: int = 1) -> None:
        self._store, self._networks, self._clock = store, networks, clock
        self._workers = workers
        self._accounts: OrderedDict[str, Account] = OrderedDict()
        self._wanted: dict[str, Account] = {}
        self._leased: dict[str, Account] = {}
        self._wake = asyncio.Event()
        self._pending: dict[str, asyncio.Event] = {}
        self._is_shared = True
        self._task: asyncio.Task[None] | None = None
        self._next_sweep = self._next_prune = self._retry_at = -math.inf

    @property
    def is_shared(self) -> bool:
        """Whether the store answers; otherwise this process gives out its part alone."""
        return self._is_shared

    async def start(self) -> None:
        """Begin to ask the store."""
        self._task = asyncio.create_task(self._run(), name="api-limits")
        self._task.add_done_callback(self._ended)
        self._wake.set()  # the day's salt, at once
        metrics.LIMITS_SHARED.set(1)

    async def stop(self) -> None:
        """Give back what is not spent, and stop."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        left = [
            Want(one.key, one.budget, 0, one.tokens, one.spent)
            for one in self._leased.values()
            if one.tokens or one.spent
        ]
        with suppress(StateUnavailable, TimeoutError):
            if left and self._is_shared:
                await self._ask_store(left)
        await self._store.close()

    async def take(self, key: str, budget: Budget) -> Decision:
        """See Limits; waits only for an empty lease."""
        now = self._clock.monotonic()
        account = self._account(key, budget, now)
        for _ in range(ROUNDS):
            verdict = account.take(now)
            if verdict is None and not self._is_shared:
                break
            if verdict is not None:
                if account.is_low(now):
                    self._ask(account)
                return account.decision(verdict, now)
            await self._granted(account)
            now = self._clock.monotonic()
        if self._is_shared:
            return account.decision(False, now)
        metrics.LIMITS_LOCAL.inc()
        is_allowed = account.take_locally(self._workers, now, self._clock.now().toordinal())
        return account.decision(is_allowed, now)

    def _account(self, key: str, budget: Budget, now: float) -> Account:
        account = self._accounts.get(key)
        if account is None:
            account = self._accounts[key] = Account(key, budget, now)
            if len(self._accounts) > ACCOUNTS:
                self._accounts.popitem(last=False)
        else:
            self._accounts.move_to_end(key)
            account.budget = budget
        return account

    def _ask(self, account: Account) -> asyncio.Event:
        """Have an account asked for; returns what is set with the answer."""
        pending = self._pending.get(account.key)
        if pending is None:
            pending = self._pending[account.key] = asyncio.Event()
            account.is_asked = True
            self._wanted[account.key] = account
            self._wake.set()
        return pending

    async def _granted(self, account: Account) -> None:
        """Wait for the store's next answer about an account, at most ANSWER_SECONDS."""
        account.waiting += 1
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._ask(account).wait()
        except TimeoutError:
            self._lost("no answer in time")
        finally:
            account.waiting -= 1

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(SWEEP_SECONDS):
                    await self._wake.wait()
            self._wake.clear()
            now = self._clock.monotonic()
            if now >= self._next_sweep:
                self._next_sweep = now + SWEEP_SECONDS
                self._collect_unspent(now)
                await self._keep_house(now)
            if self._is_shared:
                while self._wanted:
                    await self._serve()
            else:
                self._release(list(self._wanted.values()))

    async def _serve(self) -> None:
        """Ask for up to BATCH accounts in one call."""
        batch = [self._wanted.pop(key) for key in list(self._wanted)[:BATCH]]
        wants = [one.want(self._clock.monotonic()) for one in batch]
        try:
            grants = await self._ask_store(wants)
        except (StateUnavailable, TimeoutError) as error:
            self._lost(str(error))
            self._release([*batch, *self._wanted.values()])
            return
        now = self._clock.monotonic()
        for account, want, grant in zip(batch, wants, grants, strict=True):
            account.granted(want, grant, now)
            if account.tokens:
                self._leased[account.key] = account
        self._release(batch)

    async def _ask_store(self, wants: Sequence[Want]) -> list[Grant]:
        metrics.LIMITS_CALLS.inc()
        async with asyncio.timeout(ANSWER_SECONDS):
            return await self._store.take(wants)

    def _release(self, accounts: Sequence[Account]) -> None:
        """Let those go on who wait for these accounts."""
        for account in accounts:
            account.is_asked = False
            self._wanted.pop(account.key, None)
            pending = self._pending.pop(account.key, None)
            if pending is not None:
                pending.set()

    def _collect_unspent(self, now: float) -> None:
        """Have expired leases given back."""
        for key, account in list(self._leased.items()):
            if not account.tokens:
                del self._leased[key]
            elif now >= account.expires and not account.is_asked:
                self._wanted[key] = account

    async def _keep_house(self, now: float) -> None:
        """Use the salt of the day, forget old buckets, and find a store again that was away."""
        day = self._networks.needs_salt()
        is_due = now >= self._next_prune or day is not None
        if not (is_due if self._is_shared else now >= self._retry_at):
            return
        try:
            async with asyncio.timeout(2 * ANSWER_SECONDS):
                if day is not None:
                    self._networks.use(day, await self._store.salt(day))
                await self._store.prune()
        except (StateUnavailable, TimeoutError) as error:
            self._lost(str(error))
            return
        self._next_prune = now + PRUNE_SECONDS
        if not self._is_shared:
            self._is_shared = True
            metrics.LIMITS_SHARED.set(1)
            log.info("api_limits_shared_again")

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Go on alone, loudly, should a fault of ours end the task that asks the store."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("api_limits_ended", exc_info=error)
            self._lost(str(error))

    def _lost(self, reason: str) -> None:
        self._retry_at = self._clock.monotonic() + AGAIN_SECONDS
        if self._is_shared:
            self._is_shared = False
            metrics.LIMITS_SHARED.set(0)
            reason = reason[:300] or "no answer in time"
            log.warning("api_limits_local", reason=reason, workers=self._workers)
