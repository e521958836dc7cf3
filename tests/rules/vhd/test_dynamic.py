"""The dynamic header, the block allocation table and the sector bitmaps."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from tests import builders
from tests.builders import (
    MIB,
    SECTOR,
    VhdParent,
    dynamic_header,
    patch,
    pattern,
    relative_locator,
    seal,
    write_vhd,
    write_vhdx,
)
from tests.rules.disks import fixed, hit, hits
from vhdtool.rules.model import FileLocation, Severity

if TYPE_CHECKING:
    from pathlib import Path

    from tests.builders import VhdLayout

SIZE = 8 * MIB
PIECES = {0: pattern(1024), 3 * MIB: pattern(512, 2), 7 * MIB: pattern(512, 3)}


def dynamic(folder: Path, **fields: Any) -> VhdLayout:
    """Write a dynamic disk of three blocks whose header has other values in some fields."""
    layout = write_vhd(folder / "disk.vhd", SIZE, PIECES)
    sound = {"table_offset": layout.table_offset, "table_entries": 4, "block_size": 2 * MIB}
    patch(layout.path, 512, dynamic_header(**(sound | fields)))
    return layout


def set_entry(layout: VhdLayout, block: int, sector: int) -> None:
    patch(layout.path, layout.table_offset + 4 * block, struct.pack(">I", sector))


def test_vhd028_hits_a_wrong_checksum(tmp_path: Path) -> None:
    layout = dynamic(tmp_path)
    patch(layout.path, 512 + 36, b"\1\2\3\4")
    found = hit(layout.path, "VHD028")
    assert found.hit.message.startswith("the dynamic header's checksum is 0x01020304, expected 0x")
    assert found.hit.location == FileLocation(548, 4)
    assert found.severity is Severity.ERROR


def test_vhd028_hits_another_cookie(tmp_path: Path) -> None:
    found = hit(dynamic(tmp_path, cookie=b"cxspars\x1b").path, "VHD028")
    assert found.hit.message == "the dynamic header's cookie is 'cxspars\\x1b', expected 'cxsparse'"
    assert found.hit.location == FileLocation(512, 8)


def test_vhd028_hits_another_version(tmp_path: Path) -> None:
    found = hit(dynamic(tmp_path, version=0x00010001).path, "VHD028")
    assert found.hit.message == "the dynamic header's version is 0x00010001, expected 0x00010000"
    assert found.hit.location == FileLocation(536, 4)


def test_vhd028_hits_a_data_offset_mildly(tmp_path: Path) -> None:
    found = hit(dynamic(tmp_path, data_offset=0).path, "VHD028")
    assert found.hit.message == "the dynamic header's data offset is 0x0, expected all ones"
    assert found.severity is Severity.WARNING


def test_vhd028_hits_a_header_outside_the_file(tmp_path: Path) -> None:
    away = builders.footer(SIZE, disk_type=3, data_offset=1 << 40)
    layout = write_vhd(tmp_path / "disk.vhd", SIZE, PIECES, copy=away, tail=away)
    found = hit(layout.path, "VHD028")
    assert found.hit.message == (
        "there is no dynamic header at offset 0x10000000000, where the footer places it"
    )
    assert found.hit.location == FileLocation(layout.footer_offset + 16, 8)


def test_vhd028_passes_a_sound_header(tmp_path: Path) -> None:
    assert hits(dynamic(tmp_path).path, "VHD028") == []
    assert hits(dynamic(tmp_path, data_offset=0xFFFFFFFF).path, "VHD028") == []
    assert hits(fixed(tmp_path), "VHD028") == []


def test_vhd029_hits_sizes_that_are_no_power_of_two(tmp_path: Path) -> None:
    for size in (0, 256, 3 * MIB):
        found = hit(dynamic(tmp_path, block_size=size).path, "VHD029")
        assert found.hit.message == (
            f"block size is {size} bytes, expected a power of two of at least 512"
        )
        assert found.hit.location == FileLocation(544, 4)


def test_vhd029_passes_powers_of_two(tmp_path: Path) -> None:
    for size in (SECTOR, 512 * 1024, 2 * MIB, 1 << 31):
        assert hits(dynamic(tmp_path, block_size=size).path, "VHD029") == []


def test_vhd030_hits_a_table_between_sectors(tmp_path: Path) -> None:
    found = hit(dynamic(tmp_path, table_offset=1537).path, "VHD030")
    assert found.hit.message == "the table is at offset 0x601, expected a multiple of 512"
    assert found.hit.location == FileLocation(528, 8)


def test_vhd030_hits_too_few_entries(tmp_path: Path) -> None:
    found = hit(dynamic(tmp_path, table_entries=3).path, "VHD030")
    assert found.hit.message == (
        "the table has 3 entries, expected at least 4 for 8388608 bytes in blocks of 2097152"
    )
    assert found.hit.location == FileLocation(540, 4)


def test_vhd030_hits_a_table_past_the_footer(tmp_path: Path) -> None:
    layout = dynamic(tmp_path, table_offset=0xFFFFFFFFFFFFFE00)
    found = hit(layout.path, "VHD030")
    assert found.hit.message == (
        f"the table ends at offset 0xfffffffffffffe10, expected at most {layout.footer_offset:#x}"
    )


def test_vhd030_passes_enough_entries_and_more(tmp_path: Path) -> None:
    assert hits(dynamic(tmp_path).path, "VHD030") == []
    assert hits(dynamic(tmp_path, table_entries=0xFFFFFFFF).path, "VHD030") == []


def test_vhd031_hits_blocks_past_the_end(tmp_path: Path) -> None:
    layout = dynamic(tmp_path)
    set_entry(layout, 3, 0x00FFFFFF)
    found = hit(layout.path, "VHD031")
    assert found.hit.message == (
        f"1 block ends past the data of the file of {layout.path.stat().st_size} bytes; the first"
        " is block 3 at offset 0x1fffffe00"
    )
    assert found.hit.location == FileLocation(layout.table_offset + 12, 4)


def test_vhd031_hits_blocks_over_the_header(tmp_path: Path) -> None:
    layout = dynamic(tmp_path)
    set_entry(layout, 1, 1)
    _, found = hits(layout.path, "VHD031")  # it overlaps the other blocks too
    assert found.hit.message == (
        "1 block overlaps a header or table; the first is block 1 at offset 0x200"
    )
    assert found.hit.location == FileLocation(layout.table_offset + 4, 4)


def test_vhd031_hits_blocks_over_each_other(tmp_path: Path) -> None:
    layout = dynamic(tmp_path)
    place = layout.blocks[0]
    set_entry(layout, 3, place // SECTOR)
    found = hit(layout.path, "VHD031")
    assert found.hit.message == (
        f"1 block overlaps another one; the first are blocks 0 and 3 at offset {place:#x}"
    )


def test_vhd031_hits_undefined_states_of_a_vhdx(tmp_path: Path) -> None:
    path = write_vhdx(tmp_path / "disk.vhdx", SIZE, {0: pattern(512)}, states={1: 5, 2: 4}).path
    found = hit(path, "VHD031")
    assert found.hit.message == (
        "2 blocks have an undefined state; the first is block 1 with state 5"
    )


def test_vhd031_passes_sound_tables(tmp_path: Path) -> None:
    assert hits(dynamic(tmp_path).path, "VHD031") == []
    reverse = write_vhd(tmp_path / "reverse.vhd", SIZE, PIECES, reverse=True, table_entries=9)
    assert hits(reverse.path, "VHD031") == []
    assert hits(write_vhdx(tmp_path / "disk.vhdx", SIZE, PIECES).path, "VHD031") == []


def test_vhd032_hits_data_under_clear_bits(tmp_path: Path) -> None:
    layout = dynamic(tmp_path)
    patch(layout.path, layout.blocks[0], b"\x3f")
    found = hit(layout.path, "VHD032")
    assert found.hit.message == (
        "1024 bytes are not zero in 2 sectors whose bitmap bit is clear: vhdtool reads zeros"
        " there, qemu reads the data"
    )
    assert found.hit.location == FileLocation(layout.blocks[0] + layout.bitmap_size, 1)


def test_vhd032_passes_set_bits_and_zeros_under_clear_ones(tmp_path: Path) -> None:
    assert hits(dynamic(tmp_path).path, "VHD032") == []
    partly = write_vhd(tmp_path / "partly.vhd", SIZE, PIECES, all_bits=False)
    assert hits(partly.path, "VHD032") == []
    parent = VhdParent(locators=relative_locator("base.vhd"))
    child = write_vhd(tmp_path / "child.vhd", SIZE, PIECES, parent=parent)
    assert hits(child.path, "VHD032") == []


def test_vhd034_hits_a_dynamic_disk_with_a_parent(tmp_path: Path) -> None:
    found = hit(dynamic(tmp_path, parent=VhdParent()).path, "VHD034")
    assert found.hit.message == "the dynamic disk names a parent (base.vhd), expected none"
    assert found.hit.location == FileLocation(552, 24)


def test_vhd034_hits_an_id_without_a_name(tmp_path: Path) -> None:
    found = hit(dynamic(tmp_path, parent=VhdParent(name=b"")).path, "VHD034")
    assert f"names a parent ({builders.DISK_ID})" in found.hit.message


def test_vhd034_passes_dynamic_disks_without_and_children_with_a_parent(tmp_path: Path) -> None:
    assert hits(dynamic(tmp_path).path, "VHD034") == []
    child = write_vhd(tmp_path / "child.vhd", SIZE, PIECES, parent=VhdParent())
    assert hits(child.path, "VHD034") == []


def test_a_damaged_header_is_told_once(tmp_path: Path) -> None:
    """A cookie that is gone makes no other field worth judging."""
    layout = write_vhd(tmp_path / "disk.vhd", SIZE, PIECES)
    patch(layout.path, 512, seal(bytes(8) + bytes(1016), 36))
    assert len(hits(layout.path, "VHD028")) == 1
