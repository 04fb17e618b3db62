"""Senders of emissions that post each until its answer is 200, whatever is killed meanwhile."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Any

from tests.support.platform import Platform

PATH = "/v1/records/emission"
PAUSE_S = 0.05
ORGANIZATIONS = 12
TWICE = 0.02
"""Share of emissions that are posted again although they were answered."""


@dataclass(frozen=True)
class Amount:
    """One emission to post."""

    organization: str
    name: str
    value: Decimal

    def body(self) -> bytes:
        """The request's body."""
        row = {
            "organization_id": self.organization,
            "emission_id": self.name,
            "value": float(self.value),
            "reported_at": "2026-11-01T00:00:00Z",
        }
        return json.dumps([row]).encode()


def amounts(count: int, seed: int) -> list[Amount]:
    """Emissions of some organizations, with all the digits that a value may have."""
    random = Random(seed)
    return [
        Amount(
            f"org-{random.randrange(ORGANIZATIONS)}",
            f"run-{seed}-{number}",
            Decimal(random.randint(-(10**15) + 1, 10**15 - 1)).scaleb(-random.choice((6, 6, 8, 12)))
            .quantize(Decimal("0.000001")),
        )
        for number in range(count)
    ]  # fmt: skip


def totals(posted: list[Amount]) -> dict[str, tuple[Decimal, int]]:
    """Sum and number by organization."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    counts: dict[str, int] = defaultdict(int)
    for one in posted:
        sums[one.organization] += one.value
        counts[one.organization] += 1
    return {name: (sums[name], counts[name]) for name in sums}


@dataclass
class Submitters:
    """Threads that post all amounts; ``lost`` counts requests without an answer of 200."""

    platform: Platform
    amounts: list[Amount]
    threads: int = 24
    acknowledged: int = 0
    posted: int = 0
    lost: int = 0
    failures: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> list[threading.Thread]:
        """Start posting; join what is returned."""
        numbers = iter(range(len(self.amounts)))
        running = [
            threading.Thread(target=self._run, args=(numbers, Random(seed)), daemon=True)
            for seed in range(self.threads)
        ]
        for thread in running:
            thread.start()
        return running

    def has_done(self, share: float) -> bool:
        """Whether that share of the amounts is acknowledged, or posting failed."""
        return bool(self.failures) or self.acknowledged >= share * len(self.amounts)

    def _run(self, numbers: Iterator[int], random: Random) -> None:
        sender = _Sender(self.platform)
        try:
            self._post_all(sender, numbers, random)
        finally:
            sender.close()

    def _post_all(self, sender: _Sender, numbers: Iterator[int], random: Random) -> None:
        while not self.failures:
            with self._lock:
                number = next(numbers, None)
            if number is None:
                return
            body = self.amounts[number].body()
            self._until_answered(sender, body)
            if random.random() < TWICE:
                self._until_answered(sender, body)
            with self._lock:
                self.acknowledged += 1

    def _until_answered(self, sender: _Sender, body: bytes) -> None:
        deadline = time.monotonic() + 180
        for attempt in itertools.count():
            status = sender.post(body)
            with self._lock:
                self.posted += 1
                self.lost += status != 200
            if status == 200:
                return
            if status not in (0, 503) or time.monotonic() > deadline:
                self.failures.append(f"status {status} after {attempt + 1} attempts: {body!r}")
                return
            threading.Event().wait(PAUSE_S)


class _Sender:
    """One connection, opened again when it breaks."""

    def __init__(self, platform: Platform) -> None:
        self._port = platform.settings.manager_port
        token = platform.context.credentials.ingest_token
        self._headers = {"Authorization": f"Bearer {token}"}
        self._connection: http.client.HTTPConnection | None = None

    def post(self, body: bytes) -> int:
        """Return the status, 0 without a whole answer."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            self._connection.request("POST", PATH, body, self._headers)
            answer = self._connection.getresponse()
            content: Any = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            self.close()
            return 0
        assert answer.status != 200 or (content["accepted"], content["rejected"]) == (1, [])
        return answer.status

    def close(self) -> None:
        """Close the connection; the next post opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
