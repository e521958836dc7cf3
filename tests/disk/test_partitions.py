"""Partition tables and signatures, sound, damaged and hostile."""

from __future__ import annotations

import shutil
import subprocess
import zlib
from typing import TYPE_CHECKING

import pytest

from tests import builders
from tests.builders import (
    ESP_GUID,
    LINUX_GUID,
    MIB,
    SECTOR,
    TIB,
    flatten,
    gpt_pieces,
    mbr_pieces,
    mbr_sector,
    pattern,
)
from tests.corpus import unpack
from vhdtool.disk.facts import PartitionFacts, Signature
from vhdtool.disk.image import open_image
from vhdtool.disk.partitions import read_partitions

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 10 * MIB
PARTITIONS = [(ESP_GUID, 2048, 4095, "EFI"), (LINUX_GUID, 4096, 8191, "root")]


def layout_of(
    tmp_path: Path, pieces: builders.Pieces, size: int = SIZE, sector_size: int = SECTOR
) -> PartitionFacts:
    if sector_size == SECTOR:
        path = tmp_path / "disk.raw"
        with path.open("wb") as file:
            file.truncate(size)
            for offset, data in pieces.items():
                file.seek(offset)
                file.write(data)
    else:
        path = builders.write_vhdx(
            tmp_path / "disk.vhdx", size, pieces, sector_size=sector_size
        ).path
    with open_image(path) as image:
        return read_partitions(image)


def test_gpt_disk_has_both_tables_and_its_partitions(tmp_path: Path) -> None:
    layout = layout_of(tmp_path, gpt_pieces(SIZE, PARTITIONS))
    assert layout.mbr is not None
    assert layout.mbr.is_protective
    assert layout.primary_gpt is not None
    assert layout.backup_gpt is not None
    assert (layout.primary_gpt.offset, layout.backup_gpt.offset) == (SECTOR, SIZE - SECTOR)
    assert layout.primary_gpt.problem is None
    assert layout.backup_gpt.problem is None
    esp, root = layout.partitions
    assert (esp.number, esp.offset, esp.length) == (1, MIB, MIB)
    assert (esp.type_name, esp.scheme, esp.entry_offset) == ("EFI system", "gpt", 1024)
    assert (root.name, root.type_code) == ("root", str(LINUX_GUID).upper())
    assert (root.offset, root.length, root.entry_offset) == (2 * MIB, 2 * MIB, 1152)
    assert layout.problems == ()
    assert not layout.gpt_at_4096


def test_sgdisk_finds_the_same_partitions(tmp_path: Path) -> None:
    sgdisk = shutil.which("sgdisk", path="/usr/sbin:/sbin:/usr/bin")
    if sgdisk is None:
        pytest.skip("sgdisk is not installed (apt-get install gdisk)")
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(SIZE))
    command = [sgdisk, "-n1:2048:+1M", "-t1:ef00", "-c1:boot", "-n2:0:0", "-t2:8300", path]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with open_image(path) as image:
        layout = read_partitions(image)
    assert layout.primary_gpt is not None
    assert layout.backup_gpt is not None
    assert layout.primary_gpt.problem is None
    assert layout.backup_gpt.problem is None
    boot, rest = layout.partitions
    assert (boot.name, boot.type_name, boot.offset) == ("boot", "EFI system", MIB)
    assert (rest.type_name, rest.offset + rest.length) == ("Linux", SIZE - 33 * SECTOR)


def test_tables_of_our_builders_satisfy_sgdisk(tmp_path: Path) -> None:
    sgdisk = shutil.which("sgdisk", path="/usr/sbin:/sbin:/usr/bin")
    if sgdisk is None:
        pytest.skip("sgdisk is not installed (apt-get install gdisk)")
    path = tmp_path / "disk.raw"
    path.write_bytes(flatten(SIZE, gpt_pieces(SIZE, PARTITIONS)))
    done = subprocess.run([sgdisk, "-v", path], check=True, capture_output=True, text=True)
    assert "No problems found" in done.stdout


@pytest.mark.parametrize("offset", [8, 60, 91])
def test_damaged_primary_is_told_and_the_backup_serves(tmp_path: Path, offset: int) -> None:
    pieces = gpt_pieces(SIZE, PARTITIONS)
    header = bytearray(pieces[SECTOR])
    header[offset] ^= 0xFF
    layout = layout_of(tmp_path, pieces | {SECTOR: bytes(header)})
    assert layout.primary_gpt is not None
    assert layout.primary_gpt.problem == "the header's CRC is wrong"
    assert not layout.primary_gpt.header_crc_ok
    assert [partition.name for partition in layout.partitions] == ["EFI", "root"]


def test_wiped_primary_leaves_the_backup(tmp_path: Path) -> None:
    layout = layout_of(tmp_path, gpt_pieces(SIZE, PARTITIONS) | {SECTOR: bytes(SECTOR)})
    assert layout.primary_gpt is None
    assert layout.backup_gpt is not None
    assert len(layout.partitions) == 2


def test_damaged_array_is_told(tmp_path: Path) -> None:
    pieces = gpt_pieces(SIZE, PARTITIONS)
    pieces[1024] = b"\1" + pieces[1024][1:]
    layout = layout_of(tmp_path, pieces)
    assert layout.primary_gpt is not None
    assert layout.primary_gpt.problem == "the entry array's CRC is wrong"
    assert layout.primary_gpt.entries_crc_ok is False
    assert [partition.name for partition in layout.partitions] == ["EFI", "root"]


def test_backup_is_found_at_the_old_end_of_a_grown_disk(tmp_path: Path) -> None:
    """Where the primary names it, although the last sector of the disk is elsewhere."""
    layout = layout_of(tmp_path, gpt_pieces(SIZE, PARTITIONS), size=64 * MIB)
    assert layout.backup_gpt is not None
    assert layout.backup_gpt.offset == SIZE - SECTOR


def test_backup_is_found_behind_the_last_usable_sector(tmp_path: Path) -> None:
    pieces = gpt_pieces(SIZE, PARTITIONS)
    last = SIZE // SECTOR - 1
    array = pieces[1024]
    pieces[SECTOR] = builders.gpt_header(
        current=1,
        backup=last + 1000,
        first_usable=34,
        last_usable=last - 33,
        entries_lba=2,
        entries_crc=zlib.crc32(array),
    )
    layout = layout_of(tmp_path, pieces, size=64 * MIB)
    assert layout.backup_gpt is not None
    assert layout.backup_gpt.offset == last * SECTOR


def test_backup_is_searched_in_the_last_mib_without_a_primary(tmp_path: Path) -> None:
    pieces = gpt_pieces(SIZE, PARTITIONS) | {SECTOR: bytes(SECTOR)}
    layout = layout_of(tmp_path, pieces, size=SIZE + MIB // 2)
    assert layout.backup_gpt is not None
    assert layout.backup_gpt.offset == SIZE - SECTOR


def test_cut_disk_has_no_backup(tmp_path: Path) -> None:
    pieces = {at: data for at, data in gpt_pieces(SIZE, PARTITIONS).items() if at < MIB}
    layout = layout_of(tmp_path, pieces, size=SIZE - MIB)
    assert layout.backup_gpt is None
    assert len(layout.partitions) == 2


@pytest.mark.parametrize("lba", [(1 << 64) - 1, 1 << 62, 0, 1])
def test_impossible_places_in_a_sealed_header_are_harmless(tmp_path: Path, lba: int) -> None:
    header = builders.gpt_header(
        current=1, backup=lba, first_usable=lba, last_usable=lba, entries_lba=lba, entries_crc=0
    )
    layout = layout_of(tmp_path, {0: mbr_sector([(0xEE, 1, 99)]), SECTOR: header})
    assert layout.primary_gpt is not None
    assert layout.primary_gpt.problem is not None
    assert layout.partitions == ()


def test_impossible_array_is_told_with_its_numbers(tmp_path: Path) -> None:
    header = builders.gpt_header(
        current=1,
        backup=99,
        first_usable=34,
        last_usable=60,
        entries_lba=2,
        entries_crc=0,
        entry_count=0xFFFFFFFF,
    )
    layout = layout_of(tmp_path, {0: mbr_sector([(0xEE, 1, 99)]), SECTOR: header})
    assert layout.primary_gpt is not None
    assert "4294967295 entries of 128 bytes" in (layout.primary_gpt.problem or "")


def test_partition_outside_the_disk_is_a_fact(tmp_path: Path) -> None:
    huge = [(LINUX_GUID, 2048, (1 << 63) - 1, "huge"), (LINUX_GUID, 9000, 8000, "backwards")]
    layout = layout_of(tmp_path, gpt_pieces(SIZE, huge))
    first, second = layout.partitions
    assert first.offset + first.length == (1 << 63) * SECTOR
    assert second.length == 0


def test_disk_with_4096_byte_sectors_has_its_tables_there(tmp_path: Path) -> None:
    pieces = gpt_pieces(SIZE, [(LINUX_GUID, 256, 511, "root")], sector_size=4096)
    layout = layout_of(tmp_path, pieces, sector_size=4096)
    assert layout.primary_gpt is not None
    assert layout.primary_gpt.offset == 4096
    assert layout.primary_gpt.problem is None
    assert layout.partitions[0].offset == MIB


def test_table_for_4096_byte_sectors_on_a_disk_of_512_is_noticed(tmp_path: Path) -> None:
    layout = layout_of(tmp_path, gpt_pieces(SIZE, [], sector_size=4096))
    assert layout.gpt_at_4096
    assert layout.primary_gpt is None


# --- MBR


def test_primary_partitions_of_an_mbr(tmp_path: Path) -> None:
    sector = mbr_sector([(0x07, 2048, 2048), (0x83, 4096, 8192)], active=0)
    layout = layout_of(tmp_path, {0: sector})
    windows, linux = layout.partitions
    assert (windows.number, windows.scheme, windows.type_code) == (1, "mbr", "0x07")
    assert (windows.active, linux.active) == (True, False)
    assert (linux.offset, linux.length) == (2 * MIB, 4 * MIB)
    assert (windows.entry_offset, linux.entry_offset) == (446, 462)
    assert layout.primary_gpt is None
    assert layout.backup_gpt is None


def test_logical_partitions_are_numbered_from_five(tmp_path: Path) -> None:
    pieces = mbr_pieces([(0x83, 64, 64)], [(0x83, 256, 64), (0x82, 512, 128)])
    layout = layout_of(tmp_path, pieces)
    assert [p.number for p in layout.partitions] == [1, 2, 5, 6]
    first, second = layout.partitions[2:]
    assert (first.offset, first.length) == (256 * SECTOR, 64 * SECTOR)
    assert (second.offset, second.length, second.type_name) == (
        512 * SECTOR,
        128 * SECTOR,
        "Linux swap",
    )
    assert first.entry_offset == 192 * SECTOR + 446


def test_chain_of_logical_partitions_that_loops_ends_with_a_problem(tmp_path: Path) -> None:
    extended = mbr_sector([(0x0F, 64, 10000)])
    loop = mbr_sector([(0x83, 64, 64), (0x05, 0, 1000)], signature=0)
    layout = layout_of(tmp_path, {0: extended, 64 * SECTOR: loop})
    assert layout.problems
    assert len(layout.partitions) < 10


def test_stale_gpt_behind_an_mbr_does_not_count(tmp_path: Path) -> None:
    pieces = gpt_pieces(SIZE, PARTITIONS) | {0: mbr_sector([(0x83, 2048, 100)])}
    layout = layout_of(tmp_path, pieces)
    assert [partition.scheme for partition in layout.partitions] == ["mbr"]
    del pieces[SECTOR]
    assert layout_of(tmp_path, pieces).backup_gpt is None


def test_garbage_where_a_table_would_be_is_no_table(tmp_path: Path) -> None:
    sector = bytearray(mbr_sector([(0x83, 2048, 100), (0x83, 4096, 100)]))
    sector[446] = 0x41
    layout = layout_of(tmp_path, {0: bytes(sector)})
    assert layout.mbr is not None
    assert layout.partitions == ()


def test_disk_without_anything_has_no_layout(tmp_path: Path) -> None:
    layout = layout_of(tmp_path, {0: pattern(SECTOR)})
    assert (layout.mbr, layout.primary_gpt, layout.backup_gpt) == (None, None, None)
    assert (layout.partitions, layout.bare_signature) == ((), None)
    assert len(layout.first_mib) == MIB
    assert len(layout.last_sector) == SECTOR


@pytest.mark.parametrize("size", [1, 511, 512, 513, 1024, 4096, 70000])
def test_tiny_disks_are_read(tmp_path: Path, size: int) -> None:
    for byte in (b"\0", b"\xff"):
        path = tmp_path / "tiny.raw"
        path.write_bytes(byte * size)
        with open_image(path) as image:
            layout = read_partitions(image)
        assert layout.partitions == ()
        assert len(layout.first_mib) == size


def test_huge_disk_costs_nothing(tmp_path: Path) -> None:
    with open_image(builders.write_vhd(tmp_path / "a.vhd", 2 * TIB - MIB).path) as image:
        assert read_partitions(image).partitions == ()


# --- signatures


def volume(*pieces: tuple[int, bytes]) -> bytes:
    return flatten(MIB, dict(pieces))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (volume((3, b"NTFS    ")), Signature.NTFS),
        (volume((3, b"EXFAT   ")), Signature.EXFAT),
        (volume((3, b"ReFS\0\0\0\0")), Signature.REFS),
        (volume((3, b"-FVE-FS-")), Signature.BITLOCKER),
        (volume((0, b"LUKS\xba\xbe\0\2")), Signature.LUKS),
        (volume((0, b"XFSB")), Signature.XFS),
        (volume((1080, b"\x53\xef")), Signature.EXT),
        (volume((65600, b"_BHRfS_M")), Signature.BTRFS),
        (volume((4086, b"SWAPSPACE2")), Signature.SWAP),
        (volume((65526, b"SWAPSPACE2")), Signature.SWAP),
        (volume((512, b"LABELONE"), (536, b"LVM2 001")), Signature.LVM),
        (volume((1536, b"LABELONE"), (1560, b"LVM2 001")), Signature.LVM),
        (volume((4096, b"\xfc\x4e\x2b\xa9")), Signature.MD_RAID),
        (volume((MIB - 8192, b"\xfc\x4e\x2b\xa9"), (1080, b"\x53\xef")), Signature.MD_RAID),
        (volume((MIB - 65536, b"\xfc\x4e\x2b\xa9"), (0, b"XFSB")), Signature.MD_RAID),
        (volume((65536 + 1372, b"\x19\x01\x54\x19")), Signature.UFS),
        (volume((32769, b"CD001")), Signature.ISO9660),
        (volume((32, b"NXSB")), Signature.APFS),
        (volume((0, b"hsqs")), Signature.SQUASHFS),
        (volume((1024, b"\xe2\xe1\xf5\xe0")), Signature.EROFS),
        (volume((1024, b"\x10\x20\xf5\xf2")), Signature.F2FS),
        (volume((1024, b"H+\x00\x04")), Signature.HFS_PLUS),
        (volume((32768, b"JFS1")), Signature.JFS),
        (volume((65588, b"ReIsEr2Fs")), Signature.REISERFS),
        (
            volume((4120, bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81"))),
            Signature.BCACHEFS,
        ),
        (volume((3072, b"PRIVHEAD")), Signature.LDM),
        (volume((MIB - 512, b"PRIVHEAD")), Signature.LDM),
        (volume((130 * 1024, (0xBAB10C).to_bytes(8, "little"))), Signature.ZFS),
        (volume((255 * 1024, (0xBAB10C).to_bytes(8, "big"))), Signature.ZFS),
        (volume((510, b"\x55\xaa"), (0, b"\xeb\x63\x90")), None),
        (volume(), None),
    ],
)
def test_volumes_are_known_by_what_they_start_with(
    tmp_path: Path, data: bytes, expected: Signature | None
) -> None:
    pieces = {0: mbr_sector([(0x83, 2048, 2048)]), MIB: data}
    assert layout_of(tmp_path, pieces).partitions[0].signature is expected
    assert layout_of(tmp_path, pieces).partitions[0].boot_sector == data[:512]


@pytest.mark.parametrize(
    ("bits", "size", "expected"),
    [(12, 4, Signature.FAT12), (16, 32, Signature.FAT16), (32, 64, Signature.FAT32)],
)
def test_fat_is_known_by_its_parameters(
    tmp_path: Path, bits: int, size: int, expected: Signature
) -> None:
    mkfs = shutil.which("mkfs.fat", path="/usr/sbin:/sbin:/usr/bin")
    if mkfs is None:
        pytest.skip("mkfs.fat is not installed (apt-get install dosfstools)")
    path = tmp_path / "fat.raw"
    with path.open("wb") as file:
        file.truncate(size * MIB)
    subprocess.run([mkfs, f"-F{bits}", path], check=True, stdout=subprocess.DEVNULL)
    with open_image(path) as image:
        layout = read_partitions(image)
    assert layout.bare_signature is expected
    assert layout.partitions == ()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dfvfs/ext2.raw.xz", Signature.EXT),
        ("dfvfs/ext4.raw.xz", Signature.EXT),
        ("dfvfs/xfs.raw.xz", Signature.XFS),
        ("dfvfs/fat12.raw.xz", Signature.FAT12),
        ("dfvfs/ntfs.raw.xz", Signature.NTFS),
        ("dfvfs/lvm.raw.xz", Signature.LVM),
        ("dfvfs/luks1.raw.head1M.xz", Signature.LUKS),
        ("dfvfs/bdetogo.raw.head1M.xz", Signature.BITLOCKER),
    ],
)
def test_real_volumes_without_a_table_are_known(
    tmp_path: Path, name: str, expected: Signature
) -> None:
    with open_image(unpack(f"linux/{name}", tmp_path)) as image:
        layout = read_partitions(image)
    assert layout.bare_signature is expected
    assert layout.partitions == ()


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("gpt.raw.xz", [1, 2]),
        ("gpt_non_sequential.raw.xz", [1, 3]),
        ("gpt_empty_with_mbr.raw.xz", [1]),
        ("mbr.raw.xz", [1, 2, 5]),
    ],
)
def test_real_tables_are_read(tmp_path: Path, name: str, numbers: list[int]) -> None:
    with open_image(unpack(f"linux/dfvfs/{name}", tmp_path)) as image:
        layout = read_partitions(image)
    assert [partition.number for partition in layout.partitions] == numbers
    assert layout.problems == ()
