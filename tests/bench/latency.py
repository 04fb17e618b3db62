"""From the last byte of the source's answer to the row answering a SELECT on 9030.

The simulator is the witness at the start (it notes when an answer's last byte was handed to the
network), a stock client that asks again and again is the one at the end. One alert is changed and
polled for at a time, on a platform that otherwise runs as it does for a user.
"""

from __future__ import annotations

import statistics
import sys
import time
from datetime import UTC, datetime

import pymysql
from sqlalchemy import Engine

from emdata.state import connect
from emdata.state.requests import ask_polls, wait_for
from runtime.tasks import state_dsn
from tests.bench.figures import Figure, report
from tests.support.platform import Platform, running_platform
from tests.support.witness import Simulator

SERVICES = "postgres,kafka,jobmanager,taskmanager,starrocks,simulator,manager"
WARM_UP, ROUNDS = 5, 60
P95_BAR_S, P95_AIM_S = 4.0, 1.5
ASK_EVERY_S, GIVE_UP_S = 0.01, 60.0


def main() -> int:
    """Measure; exit code 1 when the bar is missed."""
    with running_platform(SERVICES) as platform:
        seconds = measure(platform)[WARM_UP:]
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    print(f"  {len(seconds)} changes, fastest {min(seconds):.2f} s, slowest {max(seconds):.2f} s")
    return report(
        [
            Figure("latency_p50", cuts[49], "s", P95_BAR_S, P95_AIM_S),
            Figure("latency_p95", cuts[94], "s", P95_BAR_S, P95_AIM_S),
        ]
    )


def measure(platform: Platform) -> list[float]:
    """Return one duration in seconds a changed alert, in order."""
    simulator = Simulator(platform.settings.simulator_port)
    simulator.ask("clock", {"freeze": True})
    engine = connect(state_dsn(platform.context))
    settings = platform.settings
    client = pymysql.connect(
        host=settings.starrocks_host,
        port=settings.starrocks_mysql_port,
        user=settings.starrocks_user,
        password=platform.context.credentials.starrocks_password,
        autocommit=True,
    )
    try:
        wait_for(engine, ask_polls(engine, ["nws"], "bench"), GIVE_UP_S)
        with client.cursor() as cursor:
            settle(cursor, simulator)
            return [one_change(simulator, engine, cursor) for _ in range(WARM_UP + ROUNDS)]
    finally:
        client.close()
        engine.dispose()


def one_change(simulator: Simulator, engine: Engine, cursor: pymysql.cursors.Cursor) -> float:
    """Change one alert, have it polled, and return how long its row took."""
    known = versions(simulator)
    simulator.ask("mutations", {"nws": "edit_one"})
    ask_polls(engine, ["nws"], "bench")
    deadline = time.monotonic() + GIVE_UP_S
    landed_at: dict[str, datetime] = {}
    while time.monotonic() < deadline:
        cursor.execute("SELECT COUNT(*) FROM raw_data.nws_alerts")
        row = cursor.fetchone()
        if row is not None and int(row[0]) > len(known):
            landed_at["at"] = datetime.now(UTC)
            break
        time.sleep(ASK_EVERY_S)
    if not landed_at:
        raise SystemExit(f"a changed alert did not land within {GIVE_UP_S:.0f} s")
    new = [at for key, at in versions(simulator).items() if key not in known]
    if len(new) != 1:
        raise SystemExit(f"one alert was changed, {len(new)} new versions were served")
    return (landed_at["at"] - new[0]).total_seconds()


def settle(cursor: pymysql.cursors.Cursor, simulator: Simulator) -> None:
    """Wait until all that was served so far has landed."""
    deadline = time.monotonic() + GIVE_UP_S
    while time.monotonic() < deadline:
        cursor.execute("SELECT COUNT(*) FROM raw_data.nws_alerts")
        row = cursor.fetchone()
        if row is not None and int(row[0]) == len(versions(simulator)) > 0:
            return
        time.sleep(0.1)
    raise SystemExit("what was served before the measurement did not land")


def versions(simulator: Simulator) -> dict[tuple[str, int], datetime]:
    """Return when each version of an alert was first sent to its last byte (UTC)."""
    return {(one.key, one.version): one.acknowledged_at for one in simulator.served("nws_alerts")}


if __name__ == "__main__":
    sys.exit(main())
