"""What the Azure Marketplace asks of disks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.builders import ESP_GUID, GIB, KIB, LINUX_GUID, MIB, SECTOR, mbr_sector, pattern
from tests.rules.disk.test_sizes import DATA, LINUX, WINDOWS, sized
from tests.rules.disks import (
    BIOS_BOOT_GUID,
    Part,
    ext4,
    fat32,
    fixed,
    gpt,
    grub,
    grub_core,
    hit,
    hits,
    mbr,
)
from vhdtool.rules.model import DiskLocation, Profile, Severity

if TYPE_CHECKING:
    from pathlib import Path

MARKETPLACE = Profile.MARKETPLACE
BIOS_LINUX = mbr([Part(0x83, 1, 60, ext4())], code=grub()) | {SECTOR: grub_core()}


def test_dsk114_hits_a_partition_at_lba_63(tmp_path: Path) -> None:
    pieces = {0: mbr_sector([(0x07, 63, 100000)], active=0, code=b"\x33")}
    found = hit(fixed(tmp_path, pieces), "DSK114", MARKETPLACE)
    assert found.hit.message == (
        "partition 1 (NTFS, exFAT or HPFS) starts at byte 32256 (LBA 63), expected 1048576 or later"
    )
    assert found.hit.location == DiskLocation(446, 16)
    assert found.severity is Severity.ERROR


def test_dsk114_passes_partitions_from_1_mib_on(tmp_path: Path) -> None:
    for pieces in (LINUX, WINDOWS, BIOS_LINUX):
        assert hits(fixed(tmp_path, pieces), "DSK114", MARKETPLACE) == []


def test_dsk115_hits_unknown_data(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, LINUX | {512 * KIB: pattern(1024)}), "DSK115", MARKETPLACE)
    assert found.hit.message == (
        "2 sectors in the first MiB hold unknown data, the first at byte 524288, expected zeros"
        " outside partition tables and GRUB"
    )
    assert found.hit.location == DiskLocation(512 * KIB, SECTOR)
    assert found.hit.evidence == pattern(64)
    assert found.severity is Severity.WARNING


def test_dsk115_hits_data_behind_grub(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, BIOS_LINUX | {MIB - SECTOR: pattern(SECTOR)}), "DSK115")
    assert found.hit.message.startswith("1 sector in the first MiB holds unknown data, the first")


def test_dsk115_passes_tables_loaders_the_tag_and_partitions(tmp_path: Path) -> None:
    tag = {64 * KIB: pattern(SECTOR)}
    early = gpt(
        [
            Part(BIOS_BOOT_GUID, 0, 1),
            Part(ESP_GUID, 1, 8, fat32()),
            Part(LINUX_GUID, 9, 40, ext4()),
        ],
    )
    for pieces in (LINUX, WINDOWS, BIOS_LINUX, LINUX | tag, early):
        assert hits(fixed(tmp_path, pieces), "DSK115", MARKETPLACE) == []


@pytest.mark.parametrize("size", [29 * GIB, 251 * GIB])
def test_dsk133_hits_other_windows_sizes(tmp_path: Path, size: int) -> None:
    [found] = sized(tmp_path, "DSK133", WINDOWS, size)
    assert found.hit.message == (
        f"virtual size is {size} bytes ({size // GIB} GiB), expected 30 GiB to 250 GiB for a"
        " Windows OS disk in the Marketplace"
    )
    assert found.severity is Severity.ERROR


def test_dsk133_passes_30_to_250_gib_and_other_disks(tmp_path: Path) -> None:
    assert sized(tmp_path, "DSK133", WINDOWS, 30 * GIB) == []
    assert sized(tmp_path, "DSK133", WINDOWS, 250 * GIB) == []
    assert sized(tmp_path, "DSK133", LINUX, GIB) == []
    assert sized(tmp_path, "DSK133", DATA, GIB) == []


@pytest.mark.parametrize("size", [GIB - MIB, 1024 * GIB])
def test_dsk134_hits_other_linux_sizes(tmp_path: Path, size: int) -> None:
    [found] = sized(tmp_path, "DSK134", LINUX, size)
    assert found.hit.message.endswith(
        ", expected 1 GiB to 1023 GiB for a Linux OS disk in the Marketplace"
    )


def test_dsk134_passes_1_to_1023_gib_and_other_disks(tmp_path: Path) -> None:
    assert sized(tmp_path, "DSK134", LINUX, GIB) == []
    assert sized(tmp_path, "DSK134", LINUX, 1023 * GIB) == []
    assert sized(tmp_path, "DSK134", WINDOWS, 1024 * GIB) == []


@pytest.mark.parametrize("size", [GIB - MIB, 1024 * GIB])
def test_dsk135_hits_other_data_disk_sizes(tmp_path: Path, size: int) -> None:
    [found] = sized(tmp_path, "DSK135", DATA, size)
    assert found.hit.message.endswith(
        ", expected 1 GiB to 1023 GiB for a data disk in the Marketplace"
    )


def test_dsk135_passes_1_to_1023_gib_and_os_disks(tmp_path: Path) -> None:
    assert sized(tmp_path, "DSK135", DATA, GIB) == []
    assert sized(tmp_path, "DSK135", DATA, 1023 * GIB) == []
    assert sized(tmp_path, "DSK135", LINUX, 1024 * GIB) == []
