"""What the first bytes of the disk tell of the file as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.builders import ESP_GUID, KIB, LINUX_GUID, MIB, pattern
from tests.rules.disks import (
    BIOS_BOOT_GUID,
    SIZE,
    Part,
    ext4,
    fat32,
    fixed,
    gpt,
    grub_core,
    hit,
    hits,
    mbr,
)
from vhdtool.rules.model import DiskLocation, Profile, Severity

if TYPE_CHECKING:
    from pathlib import Path

SYSTEM = [Part(ESP_GUID, 1, 8, fat32()), Part(LINUX_GUID, 9, 40, ext4())]
TAG = {64 * KIB: pattern(16).ljust(512, b"\0")}


def test_vhd043_hits_a_tag_before_the_partitions(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, gpt(SYSTEM) | TAG), "VHD043", Profile.MARKETPLACE)
    assert found.hit.message == "there is a disk tag at byte 65536"
    assert found.hit.location == DiskLocation(65536, 512)
    assert found.hit.evidence == pattern(16)
    assert found.severity is Severity.INFO


def test_vhd043_passes_zeros_and_a_loader_that_reaches_there(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path, gpt(SYSTEM)), "VHD043") == []
    core = grub_core(1, 200)
    assert hits(fixed(tmp_path, mbr([Part(0x83, 1, 8)]) | {512: core}), "VHD043") == []


def test_vhd043_passes_what_belongs_to_a_partition_or_file_system(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path, {0: ext4()} | TAG), "VHD043") == []
    pieces = gpt([Part(BIOS_BOOT_GUID, 0, 1)]) | TAG
    assert hits(fixed(tmp_path, pieces), "VHD043") == []


def test_vhd044_hits_a_disk_of_zeros(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path), "VHD044", Profile.GEN1)
    assert found.hit.message == "the disk holds nothing but zeros, expected a partition table"
    assert found.hit.location == DiskLocation(0, MIB)
    assert found.severity is Severity.WARNING


def test_vhd044_hits_unknown_content(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, {0: pattern(512)}), "VHD044", Profile.GEN2)
    assert found.hit.message == (
        "the disk has no partition table and no known file system, expected one of them"
    )
    assert found.hit.evidence == pattern(16)


def test_vhd044_passes_data_disks_tables_and_file_systems(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path), "VHD044", Profile.DATA_DISK) == []
    assert hits(fixed(tmp_path, gpt([])), "VHD044") == []
    assert hits(fixed(tmp_path, mbr([])), "VHD044") == []
    assert hits(fixed(tmp_path, {0: ext4()}), "VHD044") == []
    damaged = {at: data for at, data in gpt(SYSTEM).items() if 0 < at < SIZE // 2}
    damaged[512] = b"EFI PART".ljust(512, b"\1")
    assert hits(fixed(tmp_path, damaged), "VHD044") == []
