"""What firmware starts: boot code, active partitions, the EFI system partition."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import pytest

from tests.builders import (
    ESP_GUID,
    LINUX_GUID,
    MIB,
    SECTOR,
    gpt_header,
    mbr_pieces,
    mbr_sector,
)
from tests.rules.disks import (
    BASIC_DATA_GUID,
    BIOS_BOOT_GUID,
    BOOT_CODE,
    MSR_GUID,
    SIZE,
    Part,
    bitlocker,
    ext4,
    fat16,
    fat32,
    fixed,
    gpt,
    grub,
    grub_core,
    hit,
    hits,
    luks,
    mbr,
    ntfs,
)
from vhdtool.rules.model import DiskLocation, Profile, Severity

if TYPE_CHECKING:
    from pathlib import Path

    from tests.builders import Pieces

ESP = Part(ESP_GUID, 9, 8, fat32())
ROOT = Part(LINUX_GUID, 17, 40, ext4())
BIOS_BOOT = Part(BIOS_BOOT_GUID, 1, 4, grub_core(2048))
MSR = Part(MSR_GUID, 5, 2)
WINDOWS = Part(BASIC_DATA_GUID, 17, 40, ntfs())

UEFI_LINUX = gpt([ESP, ROOT])
UEFI_WINDOWS = gpt([ESP, MSR, WINDOWS], code=BOOT_CODE)
HYBRID_LINUX = gpt([BIOS_BOOT, ESP, ROOT], code=grub(2048))
BIOS_LINUX = mbr([Part(0x83, 1, 60, ext4())], code=grub()) | {SECTOR: grub_core()}
BIOS_WINDOWS = mbr([Part(0x07, 1, 5, ntfs()), Part(0x07, 6, 50, ntfs())], active=0, code=BOOT_CODE)
GEN1, GEN2 = Profile.GEN1, Profile.GEN2


def test_dsk101_hits_windows_on_a_gpt_as_an_error(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, UEFI_WINDOWS), "DSK101", GEN1)
    assert found.hit.message == (
        "a Windows disk has a GUID partition table, expected an MBR for generation 1"
    )
    assert found.hit.location == DiskLocation(512, 512)
    assert found.hit.evidence.startswith(b"EFI PART")
    assert found.severity is Severity.ERROR


def test_dsk101_hits_boot_code_without_a_place_for_the_loader(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, gpt([ESP, ROOT], code=grub())), "DSK101", GEN1)
    assert found.hit.message == (
        "the disk has a GUID partition table without a BIOS boot partition, expected one, or an"
        " MBR, for generation 1"
    )
    assert found.severity is Severity.WARNING


def test_dsk101_passes_an_mbr_and_a_bios_boot_partition(tmp_path: Path) -> None:
    for pieces in (BIOS_LINUX, BIOS_WINDOWS, HYBRID_LINUX):
        assert hits(fixed(tmp_path, pieces), "DSK101", GEN1) == []


def test_dsk101_passes_a_partition_for_legacy_boot(tmp_path: Path) -> None:
    pieces = gpt([ROOT], code=BOOT_CODE)
    assert hits(fixed(tmp_path, pieces), "DSK101", GEN1)
    for place in (1024, SIZE - 33 * SECTOR):
        array = bytearray(pieces[place])
        array[48] |= 4
        pieces[place] = bytes(array)
    pieces |= resealed(pieces)
    assert hits(fixed(tmp_path, pieces), "DSK101", GEN1) == []


def resealed(pieces: Pieces) -> Pieces:
    """Return both headers with the CRC of the changed array."""
    last = SIZE // SECTOR - 1
    crc = zlib.crc32(pieces[1024])
    common = {"first_usable": 34, "last_usable": last - 33, "entries_crc": crc}
    return {
        512: gpt_header(current=1, backup=last, entries_lba=2, **common),
        last * SECTOR: gpt_header(current=last, backup=1, entries_lba=last - 32, **common),
    }


def test_dsk101_passes_what_dsk103_tells(tmp_path: Path) -> None:
    path = fixed(tmp_path, UEFI_LINUX)
    assert hits(path, "DSK101", GEN1) == []
    assert hits(path, "DSK103", GEN1)


def test_dsk102_hits_an_mbr(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, BIOS_LINUX), "DSK102", GEN2)
    assert found.hit.message == (
        "the disk has an MBR, expected a GUID partition table for generation 2"
    )
    assert found.hit.location == DiskLocation(512, 512)
    assert found.severity is Severity.ERROR


def test_dsk102_hits_a_table_without_an_efi_system_partition(tmp_path: Path) -> None:
    message = hit(fixed(tmp_path, gpt([BIOS_BOOT, ROOT])), "DSK102", GEN2).hit.message
    assert message == (
        "there is no EFI system partition among 2 partitions (BIOS boot, Linux), expected one for"
        " generation 2"
    )
    message = hit(fixed(tmp_path, gpt([])), "DSK102", GEN2).hit.message
    assert message.startswith("there is no EFI system partition among 0 partitions, expected")


def test_dsk102_hits_a_disk_without_a_usable_table(tmp_path: Path) -> None:
    message = hit(fixed(tmp_path, {0: ext4()}), "DSK102", GEN2).hit.message
    assert message.startswith("the disk has no partition table, expected")
    header = bytearray(UEFI_LINUX[512])
    header[60] ^= 1
    damaged = {0: UEFI_LINUX[0], 512: bytes(header)}
    message = hit(fixed(tmp_path, damaged), "DSK102", GEN2).hit.message
    assert message.startswith("the disk has a GUID partition table that cannot be used, expected")


def test_dsk102_passes_an_efi_system_partition(tmp_path: Path) -> None:
    for pieces in (UEFI_LINUX, UEFI_WINDOWS, HYBRID_LINUX):
        assert hits(fixed(tmp_path, pieces), "DSK102", GEN2) == []


def test_dsk103_hits_a_sector_without_its_signature(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, {512: UEFI_LINUX[512]}), "DSK103", GEN1)
    assert found.hit.message == "the first sector ends with 00 00, expected 55 AA for generation 1"
    assert found.hit.location == DiskLocation(510, 2)
    assert found.severity is Severity.ERROR


def test_dsk103_hits_boot_code_of_zeros(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, UEFI_LINUX), "DSK103", GEN1)
    assert found.hit.message == (
        "all 440 bytes of boot code are zero, expected a loader for generation 1"
    )
    assert found.hit.location == DiskLocation(0, 440)


@pytest.mark.parametrize("lba", [1, 2048])
def test_dsk103_hits_a_grub_without_its_core(tmp_path: Path, lba: int) -> None:
    empty = Part(BIOS_BOOT_GUID, 1, 4)
    layouts = {
        1: mbr([Part(0x83, 1, 60, ext4())], code=grub(1)),
        2048: gpt([empty, ROOT], code=grub(2048)),
    }
    found = hit(fixed(tmp_path, layouts[lba]), "DSK103", GEN1)
    assert found.hit.message == (
        f"GRUB's boot code points to LBA {lba}, which is all zeros, expected its core image"
    )
    assert found.hit.location == DiskLocation(0x5C, 8)
    assert found.hit.evidence == lba.to_bytes(8, "little")


def test_dsk103_passes_boot_code(tmp_path: Path) -> None:
    elsewhere = mbr([Part(0x83, 1, 60, ext4())], code=grub(0xFFFFFFFFFFFFFFFF))
    for pieces in (BIOS_LINUX, BIOS_WINDOWS, HYBRID_LINUX, elsewhere):
        assert hits(fixed(tmp_path, pieces), "DSK103", GEN1) == []


def test_dsk103_passes_what_dsk101_tells(tmp_path: Path) -> None:
    path = fixed(tmp_path, gpt([ESP, MSR, WINDOWS]))
    assert hits(path, "DSK103", GEN1) == []
    assert hits(path, "DSK101", GEN1)


@pytest.mark.parametrize(
    ("content", "actual"),
    [
        (ntfs(), "NTFS"),
        (ext4(), "ext2/3/4"),
        (b"", "zeros"),
        (b"\x7fELF" * 128, "an unknown format"),
    ],
)
def test_dsk104_hits_what_is_no_fat(tmp_path: Path, content: bytes, actual: str) -> None:
    found = hit(fixed(tmp_path, gpt([Part(ESP_GUID, 1, 8, content), ROOT])), "DSK104", GEN2)
    assert found.hit.message == f"the EFI system partition 1 holds {actual}, expected FAT"
    assert found.hit.location == DiskLocation(MIB, 64)
    assert found.severity is Severity.ERROR


@pytest.mark.parametrize(
    ("content", "kind", "at"),
    [(fat16(dirty=True), "FAT16", 0x25), (fat32(dirty=True), "FAT32", 0x41)],
)
def test_dsk104_hits_a_dirty_volume_mildly(
    tmp_path: Path, content: bytes, kind: str, at: int
) -> None:
    found = hit(fixed(tmp_path, gpt([Part(ESP_GUID, 1, 8, content), ROOT])), "DSK104", GEN2)
    assert found.hit.message == (
        f"the {kind} volume of the EFI system partition 1 is marked dirty: flags 0x01, expected"
        " bit 0 clear"
    )
    assert found.hit.location == DiskLocation(MIB + at, 1)
    assert found.severity is Severity.WARNING


def test_dsk104_passes_fat(tmp_path: Path) -> None:
    for content in (fat16(), fat32()):
        pieces = gpt([Part(ESP_GUID, 1, 8, content), ROOT])
        assert hits(fixed(tmp_path, pieces), "DSK104", GEN2) == []


def test_dsk140_hits_windows_without_an_active_partition(tmp_path: Path) -> None:
    pieces = mbr([Part(0x07, 1, 5, ntfs()), Part(0x07, 6, 50, bitlocker())], code=BOOT_CODE)
    found = hit(fixed(tmp_path, pieces), "DSK140", GEN1)
    assert found.hit.message == "no primary partition is active, expected exactly one"
    assert found.hit.location == DiskLocation(446, 64)
    assert found.severity is Severity.ERROR


def test_dsk140_hits_two_active_partitions(tmp_path: Path) -> None:
    sector = bytearray(BIOS_WINDOWS[0])
    sector[446 + 16] = 0x80
    path = fixed(tmp_path, BIOS_WINDOWS | {0: bytes(sector)})
    assert hit(path, "DSK140", GEN1).hit.message == (
        "2 primary partitions are active, expected exactly one"
    )


def test_dsk140_hits_an_active_logical_partition(tmp_path: Path) -> None:
    pieces = mbr_pieces([(0x27, 2048, 2048)], [(0x07, 8192, 8192)]) | {4 * MIB: ntfs()}
    pieces[(8192 - 64) * SECTOR] = mbr_sector([(0x07, 64, 8192)], active=0, signature=0)
    assert hit(fixed(tmp_path, pieces), "DSK140", GEN1).hit.message == (
        "logical partition 5 is active, expected a primary one"
    )


def test_dsk140_passes_one_active_partition_and_other_systems(tmp_path: Path) -> None:
    mixed = mbr([Part(0x07, 1, 5, ntfs()), Part(0x83, 6, 50, luks())], code=grub())
    for pieces in (BIOS_WINDOWS, BIOS_LINUX, UEFI_WINDOWS, mixed):
        assert hits(fixed(tmp_path, pieces), "DSK140", GEN1) == []
