"""How soon a standby acknowledges records after the active manager was killed, or stopped.

Taken at a client that posts to whichever manager answers: from the signal to the first
acknowledgment by the other one. What was acknowledged is then looked for in Kafka, and the stopped
manager is continued, to see that it is fenced.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from statistics import median

from emdata.contracts import contract
from runtime.topics import create_topics
from tests.bench.figures import Figure
from tests.bench.stream.options import Options
from tests.bench.stream.servers import Servers
from tests.stream_manager.door import read_topic
from tests.stream_manager.pair import FEMA, Pair, running_pair

PASS_S, AIM_S, LEASE_S = 15.0, 5.0, "3"
WAIT_S = 60.0


def standby(servers: Servers, options: Options) -> list[Figure]:
    """Seconds to take over, records lost, and managers that continued without being fenced."""
    servers.broker.start()
    create_topics(servers.platform.settings)
    figures, lost, unfenced = [], 0, 0
    for name, number in (("killed", signal.SIGKILL), ("stopped", signal.SIGSTOP)):
        seconds = []
        for turn in range(options.pairs):
            took, missing, is_fenced = _round(servers, number)
            seconds.append(took)
            lost += missing
            unfenced += not is_fenced
            print(f"  {name} {turn + 1}: {took:.2f} s, {missing} lost", flush=True)
        figures.append(Figure(f"standby_takeover_{name}", median(seconds), "s", PASS_S, AIM_S))
    return [
        *figures,
        Figure("standby_lost", lost, "records", 0, 0),
        Figure("standby_not_fenced", unfenced, "managers", 0, 0),
    ]


def _round(servers: Servers, number: signal.Signals) -> tuple[float, int, bool]:
    writer = servers.next_number()
    with running_pair(servers.platform, writer, EMDATA_LEASE_SECONDS=LEASE_S) as pair:
        pair.active.signal(number)
        began = time.monotonic()
        pair.standby.wait_role("active", WAIT_S)
        pair.client.wait_more()
        took = pair.client.longest_gap(began)
        is_fenced = number == signal.SIGKILL or _is_fenced(pair)
        pair.client.done.set()
        wanted = set(pair.client.acknowledged)
        missing = _poll_until_empty(lambda: wanted - _in_kafka(servers, writer))
    return took, len(missing), is_fenced


def _is_fenced(pair: Pair) -> bool:
    """Whether a manager that continues ends by itself and says why."""
    pair.active.signal(signal.SIGCONT)
    try:
        code = pair.active.process.wait(WAIT_S)
    except subprocess.TimeoutExpired:
        return False
    return code == 1 and "another stream manager took over" in pair.active.tail()


def _in_kafka(servers: Servers, writer: int) -> set[str]:
    values = read_topic(servers.kafka, contract(FEMA).dataset.topic)
    return {value["record_key"] for value in values if value["writer"] == writer}


def _poll_until_empty(look: Callable[[], set[str]]) -> set[str]:
    deadline = time.monotonic() + WAIT_S
    while (found := look()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return found
