"""The audit chain in PostgreSQL, its anchors, and what the API does without them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from api.access.access import check_access
from emdata.audit_anchors import Anchors
from emdata.errors import ServiceError, StateUnavailable
from emdata.paths import paths_for
from emdata.settings import load_settings
from emdata.state.audit_chain import Entry, entries_before, record, verify
from runtime.audited import note_act
from tests.api.access.live import OWNED, World
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def verdict(world: World) -> str:
    """What ``emdata audit verify`` says."""
    fault = verify(world.engine, world.key, Anchors.of(world.platform.paths).all()).fault
    return "all as they were written" if fault is None else f"entry {fault.seq}: {fault.what}"


def verdict_by_command(world: World) -> str:
    done = world.platform.emdata("audit", "verify", check=False)
    assert done.returncode == (0 if "all as they were written" in done.stdout else 1)
    return done.stdout


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_chain SET actor = 'else' WHERE seq = 1",
        "DELETE FROM audit_chain",
        "TRUNCATE audit_chain",
    ],
)
def test_fault_49_the_table_refuses_everything_but_new_entries(
    world: World, statement: str
) -> None:
    with pytest.raises(DBAPIError, match="only grows"), world.engine.begin() as connection:
        connection.execute(sa.text(statement))


def test_fault_49_two_entries_cannot_follow_the_same_one(world: World) -> None:
    copy = (
        "INSERT INTO audit_chain SELECT seq + 1000000, at, actor, act, subject, details,"
        " prev_hash, sha256(hash) FROM audit_chain WHERE seq = 2"
    )
    with pytest.raises(IntegrityError), world.engine.begin() as connection:
        connection.execute(sa.text(copy))


def test_writers_side_by_side_make_one_chain(world: World) -> None:
    def write(number: int) -> None:
        for step in range(10):
            entry = Entry(f"writer {number}", "test", f"step {step}")
            record(world.engine, [entry, entry], now=datetime.now(UTC), key=world.key)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    before = verify(world.engine, world.key).entries
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = verify(world.engine, world.key)
    assert (after.fault, after.entries) == (None, before + 80)


def test_fault_49_a_clock_that_goes_back_leaves_a_chain_whose_times_do_not(world: World) -> None:
    now = datetime.now(UTC)
    record(world.engine, [Entry("a", "b", "c")], now=now, key=world.key)
    record(world.engine, [Entry("a", "b", "c")], now=now - timedelta(hours=1), key=world.key)
    newest = entries_before(world.engine, None, 1)[0]
    assert newest.at >= now.replace(microsecond=0)
    assert json.loads(newest.details)["clock_behind_s"] == pytest.approx(3600, abs=60)
    assert verify(world.engine, world.key).fault is None


def test_fault_49_what_is_done_past_the_trigger_is_found_by_the_command(world: World) -> None:
    """Changes by somebody who may do everything to the table, one after another, each undone."""
    world.ask(f"/collections/{OWNED}", "member")  # an entry with an anchor, and more before it
    assert "all as they were written" in verdict(world)
    careful = paths_for(world.platform.settings.model_copy(update={"audit_logging": True}))
    check_access(careful, world.engine, world.key.decode())
    tail = verify(world.engine, world.key).tail.seq
    middle = tail // 2
    with world.engine.begin() as connection:
        kept = connection.execute(sa.text("SELECT * FROM audit_chain ORDER BY seq")).all()
        connection.execute(sa.text("ALTER TABLE audit_chain DISABLE TRIGGER ALL"))
        connection.execute(sa.text("CREATE TABLE audit_kept AS SELECT * FROM audit_chain"))

    def undone(change: str) -> str:
        with world.engine.begin() as connection:
            connection.execute(sa.text(change))
        said = verdict_by_command(world) if "seq >" in change else verdict(world)
        with pytest.raises(ServiceError, match="audit log: entry"):
            check_access(careful, world.engine, world.key.decode())
        with world.engine.begin() as connection:
            connection.execute(sa.text("DELETE FROM audit_chain"))
            connection.execute(sa.text("INSERT INTO audit_chain SELECT * FROM audit_kept"))
        return said

    said = {
        what: undone(change)
        for what, change in {
            "edit": f"UPDATE audit_chain SET subject = 'else' WHERE seq = {middle}",
            "delete": f"DELETE FROM audit_chain WHERE seq = {middle}",
            "cut tail": f"DELETE FROM audit_chain WHERE seq > {tail - 1}",
            "forged": "INSERT INTO audit_chain SELECT seq + 1, at, 'forger', act, subject,"
            f" details, hash, sha256(hash) FROM audit_chain WHERE seq = {tail}",
        }.items()
    }
    with world.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE audit_chain ENABLE TRIGGER ALL"))
        connection.execute(sa.text("DROP TABLE audit_kept"))
    assert len(kept) == tail
    assert said["edit"].startswith(f"entry {middle}: its hash")
    assert said["delete"].startswith(f"entry {middle + 1}: entry {middle} is missing")
    assert said["cut tail"].startswith(f"entry {tail}: the chain ends at {tail - 1}")
    assert said["forged"].startswith(f"entry {tail + 1}: its hash")
    assert "all as they were written" in verdict_by_command(world)


def test_without_its_anchors_the_answer_is_withheld(world: World) -> None:
    """The storage of anchors is away: what must be audited is refused, the rest goes on."""
    folder = world.platform.paths.data / "audit-anchors"
    aside = folder.with_name("audit-anchors-aside")
    assert world.ask(f"/collections/{OWNED}", "member").status == 200
    folder.rename(aside)
    folder.write_text("not a folder")
    try:
        answer = world.ask(f"/collections/{OWNED}", "member")
        assert (answer.status, b"audit log" in answer.body) == (503, True)
        assert world.ask("/collections/fema_disaster_declarations", "member").status == 200
        assert world.ask(f"/collections/{OWNED}", "academic").status == 404
    finally:
        folder.unlink()
        aside.rename(folder)
    assert world.ask(f"/collections/{OWNED}", "member").status == 200
    assert Anchors.of(world.platform.paths).all()


def test_privileged_acts_of_the_command_line_are_in_the_log_before_they_are_done(
    world: World,
) -> None:
    world.platform.emdata("push", "add", "audited-sender")
    newest = entries_before(world.engine, None, 1)[0]
    assert (newest.act, newest.subject) == ("push.add", "push sender:audited-sender")
    assert newest.actor.startswith("command line/")
    world.platform.emdata("push", "rm", "audited-sender")
    assert entries_before(world.engine, None, 1)[0].act == "push.remove"


def test_without_the_log_an_act_is_done_and_said_so_or_with_audit_logging_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No PostgreSQL here at all."""
    environ = {"EMDATA_HOME": str(tmp_path), "SOURCES": "simulator"}
    note_act(load_settings(environ, env_file=None), "push.add", "x")
    assert "not in the audit log" in capsys.readouterr().err
    strict = load_settings({**environ, "AUDIT_LOGGING": "true"}, env_file=None)
    with pytest.raises(StateUnavailable, match=r"push\.add is not done"):
        note_act(strict, "push.add", "x")


CANARY = "canary-4711"
HOSTILE: dict[str, Callable[[World], object]] = {
    "path": lambda w: w.ask("/collections/x%0d%0a%7b%22event%22%3a%22forged%22%7d%1b[31m%e2%80%a8"),
    "query": lambda w: w.ask("/collections?x=%0d%0aforged%e2%80%a8%1b[2J"),
    "secret in the query": lambda w: w.ask(f"/collections?api_key={CANARY}"),
    "token": lambda w: w.ask("/me", headers={"Authorization": f"Bearer emdata_{CANARY}"}),
    "jwt": lambda w: w.ask(
        "/me", headers={"Authorization": f"Bearer eyJhbGciOiJub25lIn0.{CANARY}.x"}
    ),
    "basic": lambda w: w.ask("/me", headers={"Authorization": f"Basic {CANARY}"}),
    "key header": lambda w: w.ask("/me", headers={"X-API-Key": CANARY}),
    "body": lambda w: w.ask(
        "/keys", "keeper", method="POST", body={"label": f"{CANARY}\r\nforged"}
    ),
    "large field": lambda w: w.ask(
        "/keys", "keeper", method="POST", body={"label": "x" * 1_000_000}
    ),
}


def test_fault_42_the_log_has_one_json_object_a_line_and_no_secret(world: World) -> None:
    for ask in HOSTILE.values():
        ask(world)
    world.ask("/me", "member")
    text = world.platform.log("api")
    lines = text.splitlines()
    assert lines
    for line in lines:
        assert isinstance(json.loads(line), dict), line
    assert "\x1b" not in text
    assert "\u2028" not in text
    assert max(map(len, lines)) < 20_000
    secrets = [CANARY, *(token.split("_", 2)[2] for token in world.tokens.values())]
    assert [secret for secret in secrets if secret in text] == []
    assert world.platform.context.credentials.audit_key not in text


def test_fault_42_the_audit_log_shows_what_callers_sent_in_one_line(world: World) -> None:
    body = {"claim": "sub", "value": "x\u200b\u00e9\u3000" + "y" * 150}
    assert world.ask("/revocations", "admin", method="POST", body=body).status == 204
    shown = world.platform.emdata("audit", "ls", "--limit", "3").stdout
    assert shown.isascii()
    assert len(shown.splitlines()) == 3
    assert "\\u200b" in shown


def test_while_postgresql_is_away_known_keys_and_anonymous_reading_go_on(world: World) -> None:
    """The last test: it stops PostgreSQL. What is not known or must be audited is refused."""
    public = "/collections/fema_disaster_declarations"
    assert world.ask(public, "commercial").status == 200
    world.platform.supervisor.stop("postgres")
    wait_for(
        lambda: world.ask(f"/collections/{OWNED}", "member").status == 503, 30, "it to be away"
    )
    assert world.ask(public).status == 200
    assert world.ask(public, "commercial").status == 200
    assert world.ask("/keys", "keeper").status == 503
    unknown = world.ask(public, headers={"Authorization": f"Bearer emdata_{'y' * 12}_{'x' * 43}"})
    assert unknown.status == 503
    supervisor = world.platform.supervisor
    wait_for(lambda: supervisor.states()["postgres"].state == "STOPPED", 60, "it to stop")
    supervisor.start("postgres")
    world.platform.wait_ready("postgres")
    wait_for(
        lambda: world.ask(f"/collections/{OWNED}", "member").status == 200, 60, "it to be back"
    )
