"""Disks with systems on them, and what checking them takes: the reference guests of the tests."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from benchmarks.race import Entrant, race
from tests.guests import debian, windows_disk
from vhdtool.units import GIB

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.ratios import Table

LARGE = 2040 * GIB  # the largest of dynamic VHDs


def bench_guests(table: Table, place: Path, command: str) -> None:
    """Check a real Debian, the same on a disk of 2040 GiB, and a Windows with a large hive."""
    try:
        linux, windows = debian.disk("captured", "mbr-ext4").path, windows_disk.disk()
    except pytest.skip.Exception as reason:
        print(f"guests: left out, {reason.msg}")
        return
    large = place / "vhdtool-bench-large-guest.vhd"
    try:
        _enlarge(linux, large)
        disks = {"Debian, 4 GiB": linux, "Debian, 2040 GiB": large, "Windows": windows}
        checks = {
            name: Entrant("vhdtool", [command, "check", "--profile", "generalized", str(disk)])
            for name, disk in disks.items()
        }
        race(list(checks.values()), table.rounds)
        for name, check in checks.items():
            table.under(f"check the guest of a dynamic disk: {name}", check, 1.0, 200)
        small, huge = checks["Debian, 4 GiB"], checks["Debian, 2040 GiB"]
        table.within("check the guest of 2040 GiB, of 4 GiB", huge, small, most=1.15)
        _beside_virt_inspector(table, disks, checks)
    finally:
        large.unlink(missing_ok=True)


def _beside_virt_inspector(
    table: Table, disks: dict[str, Path], checks: dict[str, Entrant]
) -> None:
    inspector = shutil.which("virt-inspector")
    if inspector is None:
        print("virt-inspector: left out, it is not installed (apt-get install libguestfs-tools)")
        return
    for name in ("Debian, 4 GiB", "Windows"):
        arguments = ["--no-icon", "--format=vpc", "-a", str(disks[name])]
        other = Entrant("virt-inspector", [inspector, *arguments])
        race([other], 1)
        table.faster(f"check the guest: {name}, virt-inspector", checks[name], other, 20.0)


def _enlarge(disk: Path, target: Path) -> None:
    """Write a dynamic VHD with the same content and room behind it."""
    raw = target.with_suffix(".raw")
    convert = ["qemu-img", "convert", "-q"]
    try:
        subprocess.run([*convert, "-f", "vpc", "-O", "raw", str(disk), str(raw)], check=True)
        with raw.open("r+b") as file:
            file.truncate(LARGE)
        vhd = ["-f", "raw", "-O", "vpc", "-o", "subformat=dynamic,force_size=on"]
        subprocess.run([*convert, *vhd, str(raw), str(target)], check=True)
    finally:
        raw.unlink(missing_ok=True)
