"""A full destination gives a clear error and leaves nothing."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 1 << 20


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


@pytest.mark.parametrize("target", ["fixed", "dynamic", "raw"])
def test_full_disk_is_told_and_nothing_is_left(
    small_tmpfs: Path, tmp_path: Path, target: str
) -> None:
    source = tmp_path / "disk.raw"
    source.write_bytes(random.Random(3).randbytes(40 * MIB))
    output = small_tmpfs / "out.vhd"
    command = [sys.executable, "-m", "vhdtool", "convert", "--to", target, source, output]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 4, done.stderr
    assert "No space left on device" in done.stderr
    assert "hint:" in done.stderr
    assert list(small_tmpfs.iterdir()) == []
