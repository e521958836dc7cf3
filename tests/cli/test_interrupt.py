"""Signals while a stream is awaited: the command ends at once and leaves nothing behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.builders import MIB, pattern, write_vhd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = 4  # less than the command's patience with work that does not stop


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def begin(folder: Path, first: bytes) -> subprocess.Popen[bytes]:
    """Start a conversion of a stream of which only the first bytes come."""
    words = ["convert", "--progress", "json", "-", str(folder / "disk.vhd")]
    process = subprocess.Popen(
        [sys.executable, "-m", "vhdtool", *words], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(first)
    process.stdin.flush()
    process.stderr.readline()  # the work has begun
    return process


def end(process: subprocess.Popen[bytes]) -> tuple[int, bytes]:
    """Wait for the end while the stream stays open; return the status and the last words."""
    assert process.stdin is not None
    assert process.stderr is not None
    try:
        status = process.wait(SECONDS)
        return status, process.stderr.read().rpartition(b"}\n")[2]
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stderr.close()


@pytest.fixture(params=["nothing", "a raw disk", "a dynamic VHD"])
def first(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[bytes]:
    """What comes of the stream before the silence."""
    if request.param == "nothing":
        yield b""
    elif request.param == "a raw disk":
        yield pattern(3 * MIB)
    else:
        disk = write_vhd(tmp_path / "a.vhd", 8 * MIB, {0: pattern(8 * MIB)})
        yield disk.path.read_bytes()[: 5 * MIB]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_wait_for_a_silent_stream(
    folder: Path, first: bytes, number: signal.Signals
) -> None:
    process = begin(folder, first)
    process.send_signal(number)
    status, words = end(process)
    assert status == 128 + number
    assert words == (b"vhdtool: interrupted\n" if number == signal.SIGINT else b"")
    assert list(folder.iterdir()) == []


def test_a_second_ctrl_c_does_not_skip_the_cleaning(folder: Path, first: bytes) -> None:
    process = begin(folder, first)
    for _ in range(5):
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    status, _ = end(process)
    # The interpreter may meet the last ones on its way out: then they end it themselves.
    assert status in (128 + signal.SIGINT, -signal.SIGINT)
    assert list(folder.iterdir()) == []


def test_what_nohup_ignores_stays_ignored(folder: Path) -> None:
    words = "trap '' HUP; exec \"$@\""
    command = [sys.executable, "-m", "vhdtool", "convert", "-", str(folder / "disk.vhd")]
    process = subprocess.Popen(
        ["sh", "-c", words, "sh", *command], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    time.sleep(0.5)
    process.send_signal(signal.SIGHUP)
    process.communicate(pattern(MIB), timeout=20)
    assert process.returncode == 0
    assert list(folder.iterdir()) == [folder / "disk.vhd"]
