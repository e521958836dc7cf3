"""`vhdtool convert`: what it prints, and how it ends when it is stopped."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.builders import MIB, SECTOR, pattern, write_fixed_vhd
from vhdtool.cli.progress import bar_line
from vhdtool.formats.vhd import Footer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

    Command = Callable[..., Outcome]
    Process = Callable[..., subprocess.CompletedProcess[bytes]]

SIZE = 4 * MIB


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(pattern(SIZE))
    return path


def test_the_summary_is_one_line_on_stderr(vhdtool: Command, raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.vhd"
    done = vhdtool("convert", "--verify", raw, out)
    assert (done.status, done.out) == (0, "")
    assert done.err == (
        f"vhdtool: wrote {out}: fixed VHD of 4194304 bytes (4 MiB), 4.0 MiB of data, verified\n"
    )


def test_growth_is_told(vhdtool: Command, tmp_path: Path) -> None:
    source = tmp_path / "disk.raw"
    source.write_bytes(bytes(SIZE + SECTOR))
    done = vhdtool("convert", source, tmp_path / "out.vhd")
    assert "grown from 4194816 bytes (4.00049 MiB) to 5242880 bytes (5 MiB)" in done.err
    assert "grown" not in vhdtool("convert", "--no-align", source, tmp_path / "out2.vhd").err
    assert (tmp_path / "out2.vhd").stat().st_size == SIZE + 2 * SECTOR


def test_identity_and_time_are_written(vhdtool: Command, raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.vhd"
    identity = "00112233-4455-6677-8899-aabbccddeeff"
    for moment in ("2000-01-01T01:00:00Z", "946688400", "2000-01-01T02:00:00+01:00"):
        done = vhdtool("convert", "--force", "--uuid", identity, "--timestamp", moment, raw, out)
        assert done.status == 0
        made = Footer.parse(out.read_bytes()[-SECTOR:])
        assert (str(made.unique_id), made.timestamp) == (identity, 3600)


def test_an_existing_destination_is_status_4(vhdtool: Command, raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.vhd"
    out.write_text("old")
    done = vhdtool("convert", raw, out)
    assert done.status == 4
    assert "hint: `--force` replaces it" in done.err
    assert out.read_text() == "old"


def test_standard_input_is_a_source(process: Process, raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.vhd"
    done = process("convert", "--size", str(SIZE), "-", out, input=raw.read_bytes())
    assert done.returncode == 0, done.stderr
    assert out.read_bytes()[:SIZE] == raw.read_bytes()


def test_compressed_standard_input_is_a_source(process: Process, raw: Path, tmp_path: Path) -> None:
    import gzip

    out = tmp_path / "out.vhd"
    done = process("convert", "-", out, input=gzip.compress(raw.read_bytes(), 1))
    assert done.returncode == 0, done.stderr
    assert out.read_bytes()[:SIZE] == raw.read_bytes()


def test_a_short_standard_input_is_status_3_and_leaves_nothing(
    process: Process, tmp_path: Path
) -> None:
    done = process("convert", "--size", "8MiB", "-", tmp_path / "out.vhd", input=bytes(SIZE))
    assert done.returncode == 3
    assert b"expected 8388608 bytes (8 MiB)" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_in_place_appends_a_footer(vhdtool: Command, raw: Path) -> None:
    done = vhdtool("convert", "--in-place", raw)
    assert done.status == 0
    assert raw.stat().st_size == SIZE + SECTOR
    assert vhdtool("convert", "--in-place", raw).status == 3


@pytest.mark.parametrize(
    "words",
    [
        ("--verify",),
        ("--force",),
        ("--size", "1MiB"),
        ("--parent", "base.vhd"),
        ("--parent-dir", "."),
        ("--ignore-bitmap",),
        ("--threads", "2"),
    ],
)
def test_in_place_refuses_what_is_for_copies(
    vhdtool: Command, raw: Path, words: tuple[str, ...]
) -> None:
    done = vhdtool("convert", "--in-place", *words, raw)
    assert done.status == 2
    assert f"{words[0]} and --in-place exclude each other" in done.err
    assert raw.stat().st_size == SIZE


def test_progress_as_json_lines_ends_with_the_end(
    process: Process, raw: Path, tmp_path: Path
) -> None:
    done = process("convert", "--progress", "json", raw, tmp_path / "out.vhd")
    lines = [json.loads(line) for line in done.stderr.decode().splitlines()]
    assert lines[-1]["event"] == "end"
    assert lines[-1]["done_bytes"] == lines[-1]["total_bytes"] == SIZE


def test_the_size_of_a_stream_lets_progress_say_how_much_is_left(
    process: Process, raw: Path, tmp_path: Path
) -> None:
    with raw.open("rb") as stream:
        words = ["--progress", "json", "--size", "4MiB", "-", tmp_path / "out.vhd"]
        done = process("convert", *words, stdin=stream)
    last = json.loads(done.stderr.splitlines()[-1])
    assert (last["done_bytes"], last["total_bytes"]) == (SIZE, SIZE)


def eager(raw: Path, out: Path) -> list[str]:
    """Return a command that shows progress from the first moment on."""
    code = (
        "import vhdtool.cli.progress as p; p._FIRST = p._INTERVAL = 0.001\n"
        "from vhdtool.cli.app import run; import sys; sys.exit(run(sys.argv[1:]))"
    )
    return [sys.executable, "-c", code, "convert", "--threads", "1", str(raw), str(out)]


def test_a_bar_appears_on_a_terminal(tmp_path: Path) -> None:
    raw = tmp_path / "disk.raw"
    raw.write_bytes(48 * pattern(MIB))
    leader, follower = pty.openpty()
    process = subprocess.Popen(eager(raw, tmp_path / "out.vhd"), stderr=follower)
    os.close(follower)
    shown = b""
    with contextlib.suppress(OSError):  # how a terminal says that nobody writes to it any more
        while piece := os.read(leader, 4096):
            shown += piece
    os.close(leader)
    assert process.wait(50) == 0
    *frames, wiped, summary, end = shown.decode().split("\r")[1:]
    assert any("[" in frame and "/s" in frame and "left" in frame for frame in frames)
    assert wiped.strip() == ""
    assert summary.startswith("vhdtool: wrote ")
    assert end == "\n"


def test_no_bar_appears_elsewhere(raw: Path, tmp_path: Path) -> None:
    command = eager(raw, tmp_path / "out.vhd")
    done = subprocess.run(command, capture_output=True, timeout=50, check=False)
    assert done.returncode == 0
    assert done.stdout == b""
    assert done.stderr.startswith(b"vhdtool: wrote ")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("done", "total", "seconds", "line"),
    [
        (0, 100 * MIB, 0.0, "  0% [........................] 0 B of 100.0 MiB  0 B/s"),
        (
            25 * MIB,
            100 * MIB,
            1.0,
            " 25% [######..................] 25.0 MiB of 100.0 MiB  25.0 MiB/s  0:03 left",
        ),
        (
            100 * MIB,
            100 * MIB,
            2.0,
            "100% [########################] 100.0 MiB of 100.0 MiB  50.0 MiB/s",
        ),
        (50 * MIB, None, 2.0, "50.0 MiB  25.0 MiB/s"),
    ],
)
def test_the_bar_says_how_much_how_fast_and_how_long(
    done: int, total: int | None, seconds: float, line: str
) -> None:
    assert bar_line(done, total, seconds) == line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("source", ["file", "stdin"])
def test_a_signal_in_the_middle_leaves_nothing(
    tmp_path: Path, number: signal.Signals, source: str
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    out = folder / "out.vhd"
    image = tmp_path / "disk.raw"
    if source == "file":
        with image.open("wb") as file:
            for _ in range(128):
                file.write(pattern(8 * MIB))
    command = [sys.executable, "-m", "vhdtool", "convert", "--threads", "1", "--progress", "json"]
    process = subprocess.Popen(
        [*command, "-" if source == "stdin" else str(image), str(out)],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    if source == "stdin":
        process.stdin.write(pattern(3 * MIB))
        process.stdin.flush()
        process.stderr.readline()  # it has begun
    else:
        time.sleep(0.35)
    process.send_signal(number)
    process.stdin.close()
    status = process.wait(20)
    err = process.stderr.read()
    process.stderr.close()
    assert status in (128 + number, 0 if source == "file" else 128 + number), err
    assert b"Traceback" not in err
    if status:
        assert list(folder.iterdir()) == []


def test_a_fixed_vhd_that_is_fine_is_copied(vhdtool: Command, tmp_path: Path) -> None:
    source = write_fixed_vhd(tmp_path / "a.vhd", SIZE, {0: pattern(SECTOR)})
    assert vhdtool("convert", source, tmp_path / "b.vhd").status == 0
    assert vhdtool("compare", source, tmp_path / "b.vhd").status == 0
