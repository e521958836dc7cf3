"""A full destination gives a clear error and leaves nothing."""

from __future__ import annotations

import contextlib
import gzip
import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.builders import MIB, SECTOR, append, patch, write_fixed_vhd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def small_tmpfs(tmp_path: Path) -> Iterator[Path]:
    """Mount 16 MiB of tmpfs; needs root."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def vhdtool(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vhdtool", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def random_bytes(length: int) -> bytes:
    return random.Random(3).randbytes(length)


def fill(folder: Path) -> Path:
    """Leave no byte of space."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


@pytest.mark.parametrize("target", ["fixed", "dynamic", "raw"])
@pytest.mark.parametrize("source", ["raw", "raw in gzip", "dynamic in gzip"])
def test_full_disk_is_told_and_nothing_is_left(
    small_tmpfs: Path, tmp_path: Path, target: str, source: str
) -> None:
    path = tmp_path / "disk"
    path.write_bytes(random_bytes(40 * MIB))
    if source.startswith("dynamic"):
        assert vhdtool("convert", "--to", "dynamic", path, tmp_path / "disk.vhd").returncode == 0
        path = tmp_path / "disk.vhd"
    if source.endswith("gzip"):
        packed = tmp_path / "disk.gz"
        packed.write_bytes(gzip.compress(path.read_bytes(), 0))
        path = packed
    done = vhdtool("convert", "--to", target, path, small_tmpfs / "out.vhd")
    assert done.returncode == 4, done.stderr
    assert "No space left on device" in done.stderr
    assert "hint: free some space" in done.stderr
    assert list(small_tmpfs.iterdir()) == []


def test_a_mended_copy_on_a_full_disk_leaves_nothing(small_tmpfs: Path, tmp_path: Path) -> None:
    path = write_fixed_vhd(tmp_path / "disk.vhd", 40 * MIB, {0: random_bytes(40 * MIB)})
    append(path, bytes(100))
    done = vhdtool("repair", "-o", small_tmpfs / "out.vhd", path)
    assert done.returncode == 4, done.stderr
    assert "No space left on device" in done.stderr
    assert list(small_tmpfs.iterdir()) == []


@pytest.mark.parametrize("command", ["convert --in-place", "repair"])
def test_a_change_in_place_on_a_full_disk_changes_nothing(small_tmpfs: Path, command: str) -> None:
    """Where the journal does not fit, the image is not touched."""
    path = small_tmpfs / "disk.vhd"
    if command == "repair":
        write_fixed_vhd(path, 4 * MIB, {0: random_bytes(4 * MIB)})
        patch(path, -SECTOR + 64, bytes(4))
    else:
        path.write_bytes(random_bytes(4 * MIB))
    before = path.read_bytes()
    filler = fill(small_tmpfs)
    done = vhdtool(*command.split(), path)
    assert done.returncode == 4, done.stderr
    assert "No space left on device" in done.stderr
    assert path.read_bytes() == before
    assert set(small_tmpfs.iterdir()) == {path, filler}
    filler.unlink()
    assert vhdtool(*command.split(), path).returncode == 0


def test_a_change_that_does_not_fit_is_taken_back(small_tmpfs: Path) -> None:
    """The journal fits, the footer does not."""
    path = small_tmpfs / "disk.raw"
    path.write_bytes(random_bytes(4 * MIB))
    before = path.read_bytes()
    filler = fill(small_tmpfs)
    os.truncate(filler, filler.stat().st_size - 4096)
    done = vhdtool("convert", "--in-place", path)
    assert done.returncode == 4, done.stderr
    assert "No space left on device" in done.stderr
    assert path.read_bytes() == before
    assert set(small_tmpfs.iterdir()) == {path, filler}


def test_a_report_on_a_full_disk_leaves_nothing(small_tmpfs: Path, tmp_path: Path) -> None:
    path = write_fixed_vhd(tmp_path / "disk.vhd", 4 * MIB)
    filler = fill(small_tmpfs)
    done = vhdtool("check", "--format", "json", "-o", small_tmpfs / "report.json", path)
    assert done.returncode == 4, done.stderr
    assert list(small_tmpfs.iterdir()) == [filler]
