"""kill -9 at random points leaves the old state, the new one, or one that can be resumed."""

from __future__ import annotations

import gzip
import hashlib
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.builders import LINUX_GUID, flatten, gpt_pieces
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


def test_killed_convert_of_a_spooled_stream_leaves_the_destination_absent_or_whole(
    dynamic: Path, tmp_path: Path
) -> None:
    """What is put down beside the destination first may stay, hidden; never under its name."""
    folder = tmp_path / "out"
    folder.mkdir()
    output = folder / "out.vhd"
    packed = tmp_path / "disk.vhd.gz"
    packed.write_bytes(gzip.compress(dynamic.read_bytes(), 1))
    source = sha256(packed)
    identity = "00000000-0000-4000-8000-000000000001"
    fixed = ["--uuid", identity, "--timestamp", "2026-01-01T00:00:00Z"]
    command = ["convert", "--to", "dynamic", *fixed, str(packed), str(output)]
    rng = random.Random(11)
    with ForkServer() as server:
        whole = server.run(*command)
        assert whole.status == 0, whole.output
        good = sha256(output)
        killed = 0
        for _ in range(4 * KILLS):
            output.unlink(missing_ok=True)
            outcome = server.run(*command, kill_after=rng.uniform(0, 1.1 * whole.seconds))
            killed += outcome.status == -9
            assert not output.exists() or sha256(output) == good
            for left in folder.iterdir():
                if left != output:
                    assert left.name.startswith(".out.vhd."), left
                    shutil.rmtree(left)
            if killed >= KILLS:
                break
    assert killed >= KILLS, f"only {killed} runs were killed before their end"
    assert sha256(packed) == source, "the source changed"


def test_killed_conversion_in_place_can_be_completed_or_undone(tmp_path: Path) -> None:
    rng = random.Random(13)
    size = 8 * MIB + 7 * 512
    disk = flatten(size, {**gpt_pieces(size, [(LINUX_GUID, 2048, 8191, "root")])})
    image = tmp_path / "disk.raw"
    identity = "00000000-0000-4000-8000-000000000001"
    fixed = ["--uuid", identity, "--timestamp", "2026-01-01T00:00:00Z"]
    command = ["convert", "--in-place", *fixed, str(image)]
    with ForkServer() as server:
        image.write_bytes(disk)
        whole = server.run(*command)
        assert whole.status == 0, whole.output
        old, good = hashlib.sha256(disk).hexdigest(), sha256(image)
        killed = 0
        for number in range(20 * KILLS):
            image.write_bytes(disk)
            outcome = server.run(*command, kill_after=rng.uniform(0, whole.seconds))
            killed += outcome.status == -9
            journal = Path(f"{image}.vhdtool-journal")
            if journal.exists():
                back = number % 2 == 0
                done = server.run("repair", *(["--undo"] if back else []), image)
                assert done.status == 0, done.output
                assert sha256(image) == (old if back else good)
                assert not journal.exists()
            else:
                assert sha256(image) in {old, good}, "neither old nor new, and no journal"
            if killed >= KILLS:
                break
    assert killed >= KILLS, f"only {killed} runs were killed before their end"


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
