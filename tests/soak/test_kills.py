"""kill -9 at random points leaves the old state, the new one, or one that can be resumed."""

from __future__ import annotations

import hashlib
import random
import subprocess
from pathlib import Path

import pytest

from tests.soak.forkserver import ForkServer

MIB = 1 << 20
KILLS = 60

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.fixture
def dynamic(tmp_path: Path) -> Path:
    """Make a dynamic VHD of 96 MiB of data."""
    raw, image = tmp_path / "disk.raw", tmp_path / "disk.vhd"
    rng = random.Random(5)
    with raw.open("wb") as file:
        for number in range(96):
            file.seek(3 * number * MIB)
            file.write(rng.randbytes(MIB))
        file.truncate(300 * MIB)
    options = "subformat=dynamic,force_size=on"
    subprocess.run(
        ["qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", options, raw, image], check=True
    )
    raw.unlink()
    return image


@pytest.mark.parametrize("existing", [False, True], ids=["new", "over an old file"])
def test_killed_convert_leaves_the_destination_absent_old_or_whole(
    dynamic: Path, tmp_path: Path, *, existing: bool
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    output = folder / "out.vhd"
    command = [
        "convert",
        "--force",
        "--uuid",
        "00000000-0000-4000-8000-000000000001",
        "--timestamp",
        "2026-01-01T00:00:00Z",
        str(dynamic),
        str(output),
    ]
    source = sha256(dynamic)
    rng = random.Random(7)
    with ForkServer() as server:
        whole = server.run(*command)
        assert whole.status == 0, whole.output
        good = sha256(output)
        killed = 0
        for _ in range(4 * KILLS):
            output.unlink()
            if existing:
                output.write_bytes(b"old")
            outcome = server.run(*command, kill_after=rng.uniform(0, 1.1 * whole.seconds))
            killed += outcome.status == -9
            if output.exists():
                allowed = {good} | ({hashlib.sha256(b"old").hexdigest()} if existing else set())
                assert sha256(output) in allowed
            else:
                assert not existing, "the old file is gone"
                output.touch()
            names = {path.name for path in folder.iterdir()}
            assert names <= {"out.vhd"} or existing, f"left behind: {names}"
            if killed >= KILLS:
                break
    assert killed >= KILLS, f"only {killed} runs were killed before their end"
    assert sha256(dynamic) == source, "the source changed"


def test_killed_repair_can_be_completed(dynamic: Path, tmp_path: Path) -> None:
    damaged = bytearray(dynamic.read_bytes())
    damaged[-512:] = bytes(512)  # the footer at the end is lost, its copy is not
    image = tmp_path / "damaged.vhd"
    rng = random.Random(9)
    with ForkServer() as server:
        image.write_bytes(damaged)
        whole = server.run("repair", image)
        assert whole.status == 0, whole.output
        good = sha256(image)
        old = hashlib.sha256(damaged).hexdigest()
        killed = resumed = 0
        for _ in range(20 * KILLS):
            image.write_bytes(damaged)
            outcome = server.run("repair", image, kill_after=rng.uniform(0, whole.seconds))
            killed += outcome.status == -9
            journal = Path(f"{image}.vhdtool-journal")
            if journal.exists():
                resumed += 1
            else:
                assert sha256(image) in {old, good}, "neither old nor new, and no journal"
            again = server.run("repair", image)
            assert again.status == 0, again.output
            assert sha256(image) == good
            assert not journal.exists()
            if killed >= KILLS:
                break
    assert killed >= KILLS, f"only {killed} runs were killed before their end"
