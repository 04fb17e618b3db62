"""What a user sees who types something wrong, and the generated pages."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from emdata.settings import Settings, environment_names
from runtime.cli import main
from runtime.reference.commands import commands_page
from runtime.reference.settings import env_example, settings_page


@dataclass
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


class Emdata(Protocol):
    """Runs a command line in a home of its own with nothing else set."""

    def __call__(self, *arguments: str, **environ: str) -> Done: ...


@pytest.fixture
def emdata(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Emdata:
    for field in Settings.model_fields:
        for name in environment_names(field):
            monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EMDATA_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **environ: str) -> Done:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["emdata", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        out, err = capsys.readouterr()
        return Done(code if isinstance(code, int) else int(bool(code)), out, err)

    return run


@pytest.mark.parametrize("command", ["start", "stop", "status", "health", "troubleshoot", "clean"])
def test_a_wrong_setting_is_one_line_and_exit_code_2(emdata: Emdata, command: str) -> None:
    done = emdata(command, EMDATA_KAFKA_PORT="many")
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert "EMDATA_KAFKA_PORT" in line
    assert "'many'" in line
    assert "environment" in line


def test_an_unknown_service_lists_those_there_are(emdata: Emdata) -> None:
    done = emdata("start", "--only", "kafak", SOURCES="simulator")
    assert done.returncode == 2
    assert "kafak" in done.stderr
    assert "kafka" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_home_that_cannot_be_made_is_one_line(emdata: Emdata, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    home = str(tmp_path / "file" / "home")
    done = emdata("start", EMDATA_HOME=home, SOURCES="simulator")
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert home in line


@pytest.mark.parametrize("command", ["stop", "emergency-stop"])
def test_stopping_what_never_ran_is_no_error(emdata: Emdata, command: str) -> None:
    done = emdata(command)
    assert done.returncode == 0
    assert "nothing was running" in done.stdout


@pytest.mark.parametrize("command", ["status", "health", "db-connect", "logs"])
def test_before_the_first_start_one_line_says_so(emdata: Emdata, command: str) -> None:
    done = emdata(command, SOURCES="simulator")
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert "emdata start" in line


def test_clean_asks_first(emdata: Emdata, tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("A=b\n")
    refused = emdata("clean")
    assert refused.returncode != 0
    assert (tmp_path / "credentials").exists()
    assert emdata("clean", "--yes").returncode == 0
    assert not (tmp_path / "credentials").exists()


def test_the_example_holds_every_setting_with_its_default() -> None:
    text = env_example()
    for field in Settings.model_fields:
        assert f"\n#{environment_names(field)[0]}=" in text
    assert "/home" not in text.replace("<home>", "")


def test_the_settings_page_names_every_name() -> None:
    text = settings_page()
    for field in Settings.model_fields:
        for name in environment_names(field):
            assert f"`{name}`" in text


def test_the_commands_page_has_the_commands_of_the_makefile() -> None:
    text = commands_page()
    for name in ("start", "stop", "status", "troubleshoot", "emergency-stop", "shell-kafka"):
        assert f"## `emdata {name}" in text
