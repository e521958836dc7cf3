"""GUID partition tables: both copies, the protective record, the sector size."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import pytest

from tests.builders import (
    DISK_ID,
    ESP_GUID,
    LINUX_GUID,
    MIB,
    SECTOR,
    gpt_header,
    gpt_pieces,
    mbr_sector,
    write_vhdx,
)
from tests.rules.disks import (
    BASIC_DATA_GUID,
    SIZE,
    Part,
    ext4,
    fat16,
    fat32,
    fixed,
    gpt,
    hit,
    hits,
    mbr,
    ntfs,
    xfs,
)
from vhdtool.rules.model import DiskLocation, Profile, Severity

if TYPE_CHECKING:
    from pathlib import Path

    from tests.builders import Pieces

PARTS = [Part(ESP_GUID, 1, 8, fat32()), Part(LINUX_GUID, 9, 40, ext4())]
LAST = SIZE // SECTOR - 1
GEN2 = Profile.GEN2


def changed(pieces: Pieces, offset: int, at: int) -> Pieces:
    """Flip a byte of the piece at `offset`."""
    data = bytearray(pieces[offset])
    data[at] ^= 0xFF
    return pieces | {offset: bytes(data)}


def test_dsk112_hits_a_disk_that_was_grown(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, gpt(PARTS), size=SIZE + MIB), "DSK112")
    assert found.hit.message == (
        f"the backup GPT header is at LBA {LAST}, expected the last LBA {LAST + 2048}"
    )
    assert found.hit.location == DiskLocation(LAST * SECTOR, SECTOR)
    assert found.hit.evidence.startswith(b"EFI PART")
    assert found.severity is Severity.WARNING


def test_dsk112_hits_a_disk_that_was_cut(tmp_path: Path) -> None:
    pieces = {at: data for at, data in gpt(PARTS).items() if at < SIZE - MIB}
    found = hit(fixed(tmp_path, pieces, size=SIZE - MIB), "DSK112")
    assert found.hit.message == (
        f"there is no backup GPT header, expected one at LBA {LAST - 2048}"
    )
    assert found.hit.location == DiskLocation(SECTOR, SECTOR)


def test_dsk112_hits_a_primary_that_points_elsewhere(tmp_path: Path) -> None:
    pieces = gpt(PARTS)
    pieces[SECTOR] = gpt_header(
        current=1,
        backup=LAST - 9,
        first_usable=34,
        last_usable=LAST - 33,
        entries_lba=2,
        entries_crc=zlib.crc32(pieces[1024]),
    )
    found = hit(fixed(tmp_path, pieces), "DSK112")
    assert found.hit.message == (
        f"the primary GPT header has its backup at LBA {LAST - 9}, expected the last LBA {LAST}"
    )
    assert found.hit.location == DiskLocation(SECTOR + 32, 8)


def test_dsk112_hits_a_damaged_primary(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, changed(gpt(PARTS), SECTOR, 60)), "DSK112")
    assert found.hit.message == "the primary GPT cannot be used: the header's CRC is wrong"
    assert found.severity is Severity.WARNING


def test_dsk112_hits_a_damaged_backup(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, changed(gpt(PARTS), LAST * SECTOR, 60)), "DSK112")
    assert found.hit.message == "the backup GPT cannot be used: the header's CRC is wrong"
    assert found.hit.location == DiskLocation(LAST * SECTOR, SECTOR)


def test_dsk112_hits_two_damaged_copies_as_an_error(tmp_path: Path) -> None:
    pieces = changed(changed(gpt(PARTS), SECTOR, 60), LAST * SECTOR, 60)
    primary, backup = hits(fixed(tmp_path, pieces), "DSK112")
    assert "primary" in primary.hit.message
    assert "backup" in backup.hit.message
    assert primary.severity is Severity.ERROR


def test_dsk112_hits_a_wiped_primary(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, gpt(PARTS) | {SECTOR: bytes(SECTOR)}), "DSK112")
    assert found.hit.message == (
        'there is no GPT header at LBA 1, expected "EFI PART"; the backup is at byte'
        f" {LAST * SECTOR}"
    )
    assert found.hit.location == DiskLocation(SECTOR, 8)


def test_dsk112_hits_a_protective_mbr_without_any_table(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, {0: mbr_sector([(0xEE, 1, LAST)])}), "DSK112")
    assert found.hit.message == (
        'there is no GPT header at LBA 1, expected "EFI PART" behind the protective MBR; there is'
        " no backup either"
    )
    assert found.severity is Severity.ERROR


def test_dsk112_hits_copies_of_different_partitions(tmp_path: Path) -> None:
    other = gpt([PARTS[0], Part(LINUX_GUID, 9, 20), Part(LINUX_GUID, 30, 20)])
    pieces = {at: other[at] if at > SIZE // 2 else data for at, data in gpt(PARTS).items()}
    found = hit(fixed(tmp_path, pieces), "DSK112")
    assert found.hit.message == (
        "the backup GPT differs from the primary in 2 entries, expected none; the first is"
        " partition 2"
    )


def test_dsk112_hits_copies_of_different_disks(tmp_path: Path) -> None:
    pieces = gpt(PARTS)
    header = bytearray(pieces[LAST * SECTOR])
    header[56:72] = bytes(16)
    header[16:20] = bytes(4)
    header[16:20] = zlib.crc32(bytes(header[:92])).to_bytes(4, "little")
    found = hit(fixed(tmp_path, pieces | {LAST * SECTOR: bytes(header)}), "DSK112")
    assert found.hit.message == (
        "the backup GPT belongs to disk 00000000-0000-0000-0000-000000000000, expected"
        f" {DISK_ID} as in the primary"
    )


def test_dsk112_passes_sound_tables(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path, gpt(PARTS)), "DSK112") == []
    assert hits(fixed(tmp_path, gpt([])), "DSK112") == []
    assert hits(fixed(tmp_path, mbr([Part(0x83, 1, 8)])), "DSK112") == []
    pieces = gpt([Part(LINUX_GUID, 1, 40)], sector_size=4096)
    path = write_vhdx(tmp_path / "disk.vhdx", SIZE, pieces, sector_size=4096).path
    assert hits(path, "DSK112") == []


def test_dsk112_passes_tables_of_an_earlier_use(tmp_path: Path) -> None:
    """Beside MBR partitions, or behind a file system that fills the disk."""
    old = gpt(PARTS)
    assert hits(fixed(tmp_path, old | mbr([Part(0x83, 1, 8)])), "DSK112") == []
    for volume in (xfs(), ntfs()):
        bare = old | {0: volume.ljust(1024, b"\0"), 1024: bytes(16384), 512: bytes(512)}
        assert hits(fixed(tmp_path, bare), "DSK112") == []


def test_dsk137_hits_a_missing_record(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, gpt(PARTS) | {0: bytes(SECTOR)}), "DSK137", GEN2)
    assert found.hit.message == (
        "the first sector does not end with 55 AA, expected a protective MBR in front of the GUID"
        " partition table"
    )
    assert found.hit.location == DiskLocation(510, 2)
    assert found.severity is Severity.WARNING


def test_dsk137_hits_an_empty_record(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, gpt(PARTS) | {0: mbr_sector([])}), "DSK137", GEN2)
    assert found.hit.message == "no entry of the MBR has type 0xee, expected a protective entry"
    assert found.hit.location == DiskLocation(446, 64)


def test_dsk137_hits_another_start(tmp_path: Path) -> None:
    pieces = gpt(PARTS) | {0: mbr_sector([(0xEE, 0, LAST)])}
    found = hit(fixed(tmp_path, pieces), "DSK137", GEN2)
    assert found.hit.message == "the protective MBR entry starts at LBA 0, expected 1"
    assert found.hit.location == DiskLocation(446, 16)


def test_dsk137_hits_a_hybrid_record(tmp_path: Path) -> None:
    hybrid = mbr_sector([(0xEE, 1, 2047), (0xEF, 2048, 16384), (0x83, 18432, 100)], active=2)
    found = hit(fixed(tmp_path, gpt(PARTS) | {0: hybrid}), "DSK137", GEN2)
    assert found.hit.message == (
        "the protective MBR has 2 other partitions (type 0xef, 0x83), expected none"
    )
    assert found.hit.location == DiskLocation(462, 16)


@pytest.mark.parametrize("length", [LAST, 0xFFFFFFFF, 1])
def test_dsk137_passes_any_length_and_an_active_entry(tmp_path: Path, length: int) -> None:
    pieces = gpt(PARTS) | {0: mbr_sector([(0xEE, 1, length)], active=0)}
    assert hits(fixed(tmp_path, pieces), "DSK137", GEN2) == []


def test_dsk137_passes_mbr_disks(tmp_path: Path) -> None:
    leftover = gpt(PARTS) | mbr([Part(0x83, 1, 8)])
    assert hits(fixed(tmp_path, leftover), "DSK137", GEN2) == []
    assert hits(fixed(tmp_path, mbr([Part(0x83, 1, 8)])), "DSK137", GEN2) == []


def test_dsk139_hits_a_table_for_4096_byte_sectors(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, gpt_pieces(SIZE, [], sector_size=4096)), "DSK139")
    assert found.hit.message == (
        "the GPT header is at byte 4096, expected byte 512 on a disk with 512-byte sectors"
    )
    assert found.hit.location == DiskLocation(4096, SECTOR)
    assert found.hit.evidence.startswith(b"EFI PART")
    assert found.severity is Severity.ERROR


@pytest.mark.parametrize(
    ("content", "kind"),
    [(ntfs(4096), "NTFS"), (fat16(bytes_per_sector=4096), "FAT16")],
)
def test_dsk139_hits_volumes_of_large_sectors(tmp_path: Path, content: bytes, kind: str) -> None:
    found = hit(fixed(tmp_path, gpt([Part(BASIC_DATA_GUID, 1, 40, content)])), "DSK139")
    assert found.hit.message == (
        f"the {kind} volume of partition 1 (Microsoft basic data) has sectors of 4096 bytes,"
        " expected 512 as on the disk"
    )
    assert found.hit.location == DiskLocation(MIB + 11, 2)
    bare = hit(fixed(tmp_path, {0: content}), "DSK139")
    assert bare.hit.message.startswith(f"the {kind} volume has sectors of 4096 bytes")
    assert bare.hit.location == DiskLocation(11, 2)


def test_dsk139_passes_sectors_of_the_disk(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path, gpt(PARTS)), "DSK139") == []
    assert hits(fixed(tmp_path, {0: ntfs()}), "DSK139") == []
    pieces = gpt([Part(BASIC_DATA_GUID, 1, 40, ntfs(4096))], sector_size=4096)
    path = write_vhdx(tmp_path / "disk.vhdx", SIZE, pieces, sector_size=4096).path
    assert hits(path, "DSK139") == []


def test_dsk139_passes_a_table_of_an_earlier_use(tmp_path: Path) -> None:
    old = gpt_pieces(SIZE, [], sector_size=4096)
    assert hits(fixed(tmp_path, old | mbr([Part(0x83, 1, 8)])), "DSK139") == []
