"""What is still taken when the disk below the buffer is nearly full."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine

from emdata.clock import ManualClock
from emdata.contracts.base import Priority
from stream_manager.buffer.disk import OsDisk
from stream_manager.intake import DISK_RESERVE, Intake, IntakeConfig
from tests.stream_manager.making import append, draft


class SmallDisk(OsDisk):
    """A disk with as much free space as a test says."""

    def __init__(self, free: int) -> None:
        self.free = free

    def free_bytes(self, path: Path) -> int:
        return self.free


@pytest.mark.parametrize("priority", list(Priority))
def test_fault_5_and_8_the_last_of_a_disk_is_kept_for_critical_until_there_is_room_again(
    tmp_path: Path, priority: Priority
) -> None:
    disk = SmallDisk(DISK_RESERVE)
    intake = Intake(
        IntakeConfig(tmp_path, 1, 1 << 20, 64 << 20, disk=disk),
        create_engine("sqlite://"),
        ManualClock(),
        make_producer=lambda lane: pytest.fail(f"{lane}: nothing is sent here"),
        is_up=lambda: False,
    )
    intake.open()
    try:
        assert intake.admits(priority) is (priority is Priority.CRITICAL)
        disk.free = DISK_RESERVE + 1
        assert intake.admits(priority)
    finally:
        intake.log.close()


@pytest.mark.parametrize(
    ("used", "refused"),
    [
        (0.5, set()),
        (0.91, {Priority.LOW}),
        (0.96, {Priority.LOW, Priority.NORMAL}),
        (0.99, {Priority.LOW, Priority.NORMAL, Priority.HIGH}),
        (1.5, {Priority.LOW, Priority.NORMAL, Priority.HIGH}),
    ],
)
def test_fault_8_new_low_is_refused_first_and_critical_never(
    tmp_path: Path, used: float, refused: set[Priority]
) -> None:
    config = IntakeConfig(tmp_path, 1, 1 << 20, 1 << 20, disk=SmallDisk(1 << 40))
    intake = Intake(
        config,
        create_engine("sqlite://"),
        ManualClock(),
        make_producer=lambda lane: pytest.fail(f"{lane}: nothing is sent here"),
        is_up=lambda: False,
    )
    intake.open()
    try:
        append(intake.log, [draft(1, size=int(used * (1 << 20)) - intake.log.size_bytes())])
        assert {one for one in Priority if not intake.admits(one)} == refused
    finally:
        intake.log.close()
