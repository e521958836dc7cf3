"""What is mended, what is refused, and that a mended image is sound to the byte."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from tests.builders import (
    GIB,
    LINUX_GUID,
    MIB,
    SECTOR,
    Pieces,
    append,
    dynamic_header,
    footer,
    gpt_pieces,
    mbr_pieces,
    patch,
    pattern,
    write_fixed_vhd,
    write_vhd,
    write_vhdx,
)
from vhdtool.disk import repair
from vhdtool.errors import CorruptImage, UnsupportedImage
from vhdtool.formats.vhd import Footer

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 8 * MIB
PARTITIONS = [(LINUX_GUID, 2048, 4095, "root")]


def pieces(size: int = SIZE) -> Pieces:
    return {**gpt_pieces(size, PARTITIONS), 2048 * SECTOR: pattern(4096)}


@pytest.fixture
def fixed(tmp_path: Path) -> Path:
    return write_fixed_vhd(tmp_path / "fixed.vhd", SIZE, pieces())


@pytest.fixture
def dynamic(tmp_path: Path) -> Path:
    return write_vhd(tmp_path / "dynamic.vhd", SIZE, pieces()).path


def mend(path: Path) -> list[str]:
    planned = repair.plan(path)
    repair.apply(planned)
    again = repair.plan(path)
    assert again.changes == (), "a second repair finds something to do"
    return [change.what for change in planned.changes]


def test_a_sound_fixed_image_is_left_alone(fixed: Path) -> None:
    good = fixed.read_bytes()
    assert mend(fixed) == []
    assert fixed.read_bytes() == good


def test_a_sound_dynamic_image_is_left_alone(dynamic: Path) -> None:
    assert mend(dynamic) == []


def test_a_plan_writes_nothing(fixed: Path) -> None:
    patch(fixed, -SECTOR + 64, b"\0\0\0\0")
    before = fixed.read_bytes()
    assert repair.plan(fixed).changes
    assert fixed.read_bytes() == before
    assert list(fixed.parent.iterdir()) == [fixed]


def test_a_wrong_checksum_of_a_plausible_footer_is_made_right(fixed: Path) -> None:
    good = fixed.read_bytes()
    patch(fixed, -SECTOR + 64, b"\1\2\3\4")
    assert mend(fixed) == ["checksum of the footer"]
    assert fixed.read_bytes() == good


@pytest.mark.parametrize(
    ("offset", "value", "field"),
    [
        (12, b"\0\7\0\0", "version"),
        (60, b"\0\0\0\x09", "disk type"),
        (84, b"\x55", "saved state"),
        (300, b"junk", "reserved space"),
    ],
)
def test_a_footer_with_more_than_its_checksum_wrong_is_refused(
    fixed: Path, offset: int, value: bytes, field: str
) -> None:
    patch(fixed, -SECTOR + offset, value)
    before = fixed.read_bytes()
    with pytest.raises(CorruptImage, match=field):
        repair.plan(fixed)
    assert fixed.read_bytes() == before


@pytest.mark.parametrize("trailing", [b"\0", bytes(512), b"x" * 100, bytes(MIB)])
def test_bytes_after_the_footer_are_cut_off(fixed: Path, trailing: bytes) -> None:
    good = fixed.read_bytes()
    append(fixed, trailing)
    assert mend(fixed) == [f"{len(trailing)} bytes after the footer are cut off"]
    assert fixed.read_bytes() == good


def test_bytes_after_the_footer_of_a_dynamic_disk_are_cut_off(dynamic: Path) -> None:
    good = dynamic.read_bytes()
    append(dynamic, bytes(1000))
    assert mend(dynamic) == ["1000 bytes after the footer are cut off"]
    assert dynamic.read_bytes() == good


def test_a_footer_that_was_appended_twice_stands_once(fixed: Path) -> None:
    good = fixed.read_bytes()
    append(fixed, good[-SECTOR:])
    assert mend(fixed) == ["512 bytes after the footer are cut off"]
    assert fixed.read_bytes() == good


def test_a_footer_of_511_bytes_gets_its_last_byte(tmp_path: Path) -> None:
    path = write_fixed_vhd(tmp_path / "old.vhd", SIZE, pieces(), tail=footer(SIZE)[:511])
    assert mend(path) == ["footer of 511 bytes gets its last byte"]
    assert path.stat().st_size == SIZE + 512


def test_a_lost_footer_at_the_end_is_made_from_the_copy(dynamic: Path) -> None:
    good = dynamic.read_bytes()
    dynamic.write_bytes(good[:-SECTOR])
    assert mend(dynamic) == ["footer"]
    assert dynamic.read_bytes() == good


@pytest.mark.parametrize("tail", [bytes(SECTOR), b"conectix".ljust(SECTOR, b"?")])
def test_a_damaged_footer_at_the_end_is_made_from_the_copy(dynamic: Path, tail: bytes) -> None:
    good = dynamic.read_bytes()
    patch(dynamic, -SECTOR, tail)
    assert mend(dynamic) == ["footer"]
    assert dynamic.read_bytes() == good


def test_a_cut_last_sector_gives_way_to_the_footer_without_loss_of_blocks(dynamic: Path) -> None:
    good = dynamic.read_bytes()
    dynamic.write_bytes(good[:-SECTOR] + b"leftover")
    mend(dynamic)
    mended = dynamic.read_bytes()
    assert mended[: len(good) - SECTOR] == good[:-SECTOR]
    assert mended[-SECTOR:] == good[:SECTOR]


@pytest.mark.parametrize("head", [bytes(SECTOR), b"conectix".ljust(SECTOR, b"?")])
def test_a_damaged_copy_is_made_from_the_footer(dynamic: Path, head: bytes) -> None:
    good = dynamic.read_bytes()
    patch(dynamic, 0, head)
    assert mend(dynamic) == ["copy of the footer"]
    assert dynamic.read_bytes() == good


def test_a_stale_copy_of_the_same_disk_follows_the_footer(tmp_path: Path) -> None:
    stale = footer(SIZE, disk_type=3, data_offset=512, timestamp=1)
    path = write_vhd(tmp_path / "stale.vhd", SIZE, pieces(), copy=stale).path
    assert mend(path) == ["copy of the footer"]
    data = path.read_bytes()
    assert data[:SECTOR] == data[-SECTOR:]
    assert Footer.parse(data).timestamp != 1


def test_two_sound_footers_of_different_disks_are_refused(tmp_path: Path) -> None:
    other = footer(2 * SIZE, disk_type=3, data_offset=512)
    path = write_vhd(tmp_path / "torn.vhd", SIZE, pieces(), copy=other).path
    with pytest.raises(CorruptImage, match="current size"):
        repair.plan(path)


def test_the_checksum_of_a_plausible_dynamic_header_is_made_right(dynamic: Path) -> None:
    good = dynamic.read_bytes()
    patch(dynamic, 512 + 36, b"\0\0\0\0")
    assert mend(dynamic) == ["checksum of the dynamic header"]
    assert dynamic.read_bytes() == good


@pytest.mark.parametrize(
    ("offset", "value"), [(512, b"cxsparsX"), (512 + 32, b"\0\0\0\7"), (512 + 28, b"\0\0\0\0")]
)
def test_a_dynamic_header_that_is_not_plausible_is_refused(
    dynamic: Path, offset: int, value: bytes
) -> None:
    patch(dynamic, offset, value)
    with pytest.raises(CorruptImage, match="dynamic header"):
        repair.plan(dynamic)


def test_blocks_past_the_end_of_the_file_are_refused(dynamic: Path) -> None:
    patch(dynamic, 1536, struct.pack(">I", 1 << 24))
    patch(dynamic, 0, bytes(SECTOR))
    with pytest.raises(CorruptImage, match="past the end of the file"):
        repair.plan(dynamic)


def test_a_lost_footer_never_overwrites_a_block(tmp_path: Path) -> None:
    layout = write_vhd(tmp_path / "disk.vhd", SIZE, {0: bytes(SECTOR)})
    good = layout.path.read_bytes()
    layout.path.write_bytes(good[:-SECTOR])  # now the last sector is a block's, and zero
    mend(layout.path)
    assert layout.path.read_bytes() == good


def test_a_missing_footer_is_added_to_a_disk_named_vhd(tmp_path: Path) -> None:
    path = write_fixed_vhd(tmp_path / "disk.vhd", SIZE, pieces(), tail=b"")
    assert mend(path) == ["missing footer"]
    data = path.read_bytes()
    made = Footer.parse(data[SIZE:])
    assert made.is_plausible
    assert (made.current_size, made.disk_type) == (SIZE, 2)


def test_a_blank_footer_is_written_over(tmp_path: Path) -> None:
    path = write_fixed_vhd(tmp_path / "disk.vhd", SIZE, pieces(), tail=bytes(SECTOR))
    assert mend(path) == ["missing footer"]
    assert path.stat().st_size == SIZE + SECTOR


def test_a_missing_footer_and_alignment_are_mended_together(tmp_path: Path) -> None:
    size = SIZE + 5 * SECTOR
    path = write_fixed_vhd(tmp_path / "disk.vhd", size, pieces(size), tail=b"")
    mend(path)
    assert path.stat().st_size == SIZE + MIB + SECTOR


@pytest.mark.parametrize("name", ["disk.vhd", "disk.img"])
def test_a_file_that_is_no_disk_gets_no_footer(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"a text, not a disk\n".ljust(4096, b"."))
    if name.endswith(".vhd"):
        with pytest.raises(CorruptImage, match="does not look like a disk"):
            repair.plan(path)
    else:
        assert repair.plan(path).changes == ()


def test_a_dynamic_disk_without_any_footer_is_not_taken_for_a_raw_one(dynamic: Path) -> None:
    data = dynamic.read_bytes()
    dynamic.write_bytes(bytes(SECTOR) + data[SECTOR:-SECTOR])
    with pytest.raises(CorruptImage, match="both footers are lost"):
        repair.plan(dynamic)


def test_a_fixed_disk_with_too_little_data_is_refused(fixed: Path) -> None:
    data = fixed.read_bytes()
    fixed.write_bytes(data[:MIB] + data[-SECTOR:])
    with pytest.raises(CorruptImage, match="fixed VHD"):
        repair.plan(fixed)


def test_an_unaligned_disk_grows_and_takes_its_gpt_backup_along(tmp_path: Path) -> None:
    size = SIZE + 7 * SECTOR
    path = write_fixed_vhd(tmp_path / "disk.vhd", size, pieces(size))
    mend(path)
    data = path.read_bytes()
    made = Footer.parse(data[-SECTOR:])
    assert made.is_plausible
    assert made.current_size == SIZE + MIB == len(data) - SECTOR
    assert data[-2 * SECTOR :].startswith(b"EFI PART")
    assert b"conectix" not in data[:-SECTOR]


def test_trailing_bytes_do_not_come_back_when_the_disk_grows(tmp_path: Path) -> None:
    size = SIZE + 7 * SECTOR
    path = write_fixed_vhd(tmp_path / "disk.vhd", size, mbr_pieces([(0x83, 2048, 4096)]))
    append(path, b"\xee" * 5000)
    mend(path)
    data = path.read_bytes()
    assert data[size:-SECTOR] == bytes(SIZE + MIB - size)


def test_a_damaged_gpt_backup_of_a_fixed_disk_is_made_anew(fixed: Path) -> None:
    good = fixed.read_bytes()
    patch(fixed, SIZE - SECTOR, bytes(SECTOR))
    assert mend(fixed) == ["backup GPT header"]
    assert fixed.read_bytes() == good


def test_a_damaged_primary_gpt_of_a_raw_disk_is_made_from_the_backup(tmp_path: Path) -> None:
    path = write_fixed_vhd(tmp_path / "disk.raw", SIZE, pieces(), tail=b"")
    good = path.read_bytes()
    patch(path, SECTOR, bytes(SECTOR))
    assert mend(path) == ["primary GPT header"]
    assert path.read_bytes() == good


def test_a_dynamic_disk_of_no_whole_mib_is_told(tmp_path: Path) -> None:
    path = write_vhd(tmp_path / "a.vhd", SIZE + SECTOR, {0: pattern(SECTOR)}).path
    planned = repair.plan(path)
    assert planned.changes == ()
    assert planned.remaining == ("virtual size stays 8389120 bytes (8.00049 MiB), no whole MiB",)


def test_what_cannot_be_mended_is_told(fixed: Path) -> None:
    patch(fixed, SECTOR + 16, bytes(4))
    patch(fixed, SIZE - SECTOR + 16, bytes(4))
    planned = repair.plan(fixed)
    assert planned.changes == ()
    assert planned.remaining == ("neither copy of the GUID partition table is sound",)


def test_other_formats_are_refused(tmp_path: Path) -> None:
    layout = write_vhdx(tmp_path / "disk.vhdx", SIZE, {})
    with pytest.raises(UnsupportedImage, match="only VHD and raw images"):
        repair.plan(layout.path)


def test_a_huge_claim_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "huge.vhd"
    sound = footer(2000 * GIB, disk_type=3, data_offset=512)
    header = dynamic_header(table_offset=1536, table_entries=0xFFFFFFF0, block_size=2 * MIB)
    path.write_bytes(sound + header + bytes(4096))
    with pytest.raises(CorruptImage):
        repair.plan(path)
