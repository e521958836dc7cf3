"""What a check knows of an image, sound or broken."""

from __future__ import annotations

import struct
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests import builders
from tests.builders import (
    GIB,
    MIB,
    VhdParent,
    append,
    footer,
    gpt_pieces,
    patch,
    pattern,
    relative_locator,
    write_fixed_vhd,
    write_vhd,
    write_vhdx,
)
from vhdtool.disk.collect import collect_facts
from vhdtool.disk.facts import ImageFormat

if TYPE_CHECKING:
    from pathlib import Path

    from vhdtool.disk.facts import VhdFacts, VhdxFacts

SIZE = 4 * MIB
PIECES = {0: pattern(1024), 3 * MIB: pattern(512, 2)}


def vhd_of(path: Path, *, thorough: bool = False) -> VhdFacts:
    facts = collect_facts(path, thorough=thorough).vhd
    assert facts is not None
    return facts


def vhdx_of(path: Path) -> VhdxFacts:
    facts = collect_facts(path).vhdx
    assert facts is not None
    return facts


def test_sound_fixed_vhd_has_all_facts(tmp_path: Path) -> None:
    path = write_fixed_vhd(tmp_path / "a.vhd", SIZE, PIECES)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    facts = collect_facts(path, now=now)
    assert (facts.path, facts.format) == (path, ImageFormat.VHD_FIXED)
    assert (facts.file_size, facts.virtual_size, facts.sector_size) == (SIZE + 512, SIZE, 512)
    assert facts.allocated_size is not None
    assert facts.vhd is not None
    assert facts.vhd.footer == facts.vhd.active
    assert (facts.vhd.dynamic_header, facts.vhd.table, facts.vhd.bitmaps) == (None, None, None)
    assert (facts.vhdx, facts.open_error, facts.gaps) == (None, None, ())
    assert facts.layout is not None
    assert facts.all_zero is False
    assert facts.now == now


def test_sound_dynamic_vhd_has_reports_on_its_table(tmp_path: Path) -> None:
    vhd = vhd_of(write_vhd(tmp_path / "a.vhd", SIZE, PIECES).path)
    assert vhd.dynamic_header is not None
    assert vhd.dynamic_header.offset == 512
    assert vhd.table is not None
    assert (vhd.table.entries, vhd.table.allocated) == (2, 2)
    assert vhd.table.past_end_count == vhd.table.clobbering_count == 0
    assert vhd.table.overlapping_count == 0
    assert vhd.bitmaps is not None
    assert (vhd.bitmaps.blocks, vhd.bitmaps.examined, vhd.bitmaps.clear_sectors) == (2, 2, 0)


def set_entry(layout: builders.VhdLayout, block: int, sector: int) -> None:
    patch(layout.path, layout.table_offset + 4 * block, struct.pack(">I", sector))


def test_blocks_that_overlap_are_counted(tmp_path: Path) -> None:
    layout = write_vhd(tmp_path / "a.vhd", SIZE, PIECES)
    set_entry(layout, 1, layout.blocks[0] // 512 + 4)
    table = vhd_of(layout.path).table
    assert table is not None
    assert table.overlapping_count == 1


def test_blocks_past_the_end_are_counted(tmp_path: Path) -> None:
    layout = write_vhd(tmp_path / "a.vhd", SIZE, PIECES)
    set_entry(layout, 1, 0x00FFFFFF)
    table = vhd_of(layout.path).table
    assert table is not None
    assert table.past_end == [(1, 0x00FFFFFF * 512)]


def test_blocks_over_headers_are_counted(tmp_path: Path) -> None:
    for sector in (0, 1, 2, 3):
        layout = write_vhd(tmp_path / "a.vhd", SIZE, PIECES)
        set_entry(layout, 1, sector)
        table = vhd_of(layout.path).table
        assert table is not None
        assert table.clobbering == [(1, sector * 512)]


def test_blocks_over_parent_locators_are_counted(tmp_path: Path) -> None:
    parent = VhdParent(locators=relative_locator("base.vhd"))
    layout = write_vhd(tmp_path / "a.vhd", SIZE, PIECES, parent=parent)
    header = bytearray(layout.path.read_bytes()[512:1536])
    place = layout.blocks[1] + 4096
    header[576 + 16 : 576 + 24] = struct.pack(">Q", place)
    patch(layout.path, 512, builders.seal(bytes(header), 36))
    table = vhd_of(layout.path).table
    assert table is not None
    assert table.clobbering_count == 1


def test_data_under_clear_bits_is_counted(tmp_path: Path) -> None:
    layout = write_vhd(tmp_path / "a.vhd", SIZE, PIECES)
    patch(layout.path, layout.blocks[0], b"\x3f")
    bitmaps = vhd_of(layout.path).bitmaps
    assert bitmaps is not None
    assert (bitmaps.clear_sectors, bitmaps.nonzero_bytes) == (2, 1024)
    assert bitmaps.first_offset == layout.blocks[0] + layout.bitmap_size


def test_differencing_disks_have_no_report_on_bitmaps(tmp_path: Path) -> None:
    parent = VhdParent(locators=relative_locator("base.vhd"))
    facts = collect_facts(write_vhd(tmp_path / "c.vhd", SIZE, PIECES, parent=parent).path)
    assert facts.format is ImageFormat.VHD_DIFFERENCING
    assert facts.vhd is not None
    assert facts.vhd.bitmaps is None
    assert facts.vhd.table is not None
    assert facts.vhd.parent is not None
    assert facts.vhd.parent.path is None
    assert facts.vhd.parent.names == (("W2ru", "base.vhd"), ("header", "base.vhd"))
    assert facts.vhd.parent.searched == (tmp_path / "base.vhd",)
    assert "not found" in (facts.open_error or "")
    assert facts.virtual_size == SIZE
    assert facts.layout is None


def test_entries_past_the_needed_ones_are_counted(tmp_path: Path) -> None:
    layout = write_vhd(tmp_path / "a.vhd", SIZE, PIECES, table_entries=8)
    set_entry(layout, 5, 77)
    table = vhd_of(layout.path).table
    assert table is not None
    assert (table.entries, table.beyond_size, table.allocated) == (2, 1, 2)


def test_damaged_structures_are_facts(tmp_path: Path) -> None:
    layout = write_vhd(tmp_path / "a.vhd", SIZE, PIECES)
    patch(layout.path, 512, b"xxxxxxxx")
    facts = collect_facts(layout.path)
    assert facts.vhd is not None
    assert facts.vhd.dynamic_header is not None
    assert facts.vhd.dynamic_header.value.cookie == b"xxxxxxxx"
    assert facts.vhd.table is None
    assert "cookie is b'xxxxxxxx'" in (facts.open_error or "")
    assert facts.layout is None


def test_trailing_bytes_and_second_footers_are_facts(tmp_path: Path) -> None:
    path = write_fixed_vhd(tmp_path / "a.vhd", SIZE)
    append(path, footer(SIZE) + b"tail")
    vhd = vhd_of(path)
    assert vhd.trailing_bytes in (4, 516)
    path = write_fixed_vhd(tmp_path / "b.vhd", SIZE)
    append(path, footer(SIZE + 512))
    assert vhd_of(path).second_footer_offset == SIZE


def test_unreadable_first_block_is_a_gap(tmp_path: Path) -> None:
    layout = write_vhd(tmp_path / "a.vhd", SIZE, PIECES)
    set_entry(layout, 0, 0x00FFFFFF)
    facts = collect_facts(layout.path)
    assert facts.layout is None
    assert any("partition tables cannot be read" in gap for gap in facts.gaps)


def test_sound_vhdx_has_all_facts(tmp_path: Path) -> None:
    facts = collect_facts(write_vhdx(tmp_path / "a.vhdx", SIZE, PIECES).path)
    assert (facts.format, facts.virtual_size) == (ImageFormat.VHDX, SIZE)
    vhdx = facts.vhdx
    assert vhdx is not None
    assert (vhdx.active_header, vhdx.active_region_table) == (1, 0)
    assert (vhdx.logical_sector_size, vhdx.physical_sector_size) == (512, 4096)
    assert vhdx.disk_id == builders.DISK_ID
    assert vhdx.problems == ()
    assert vhdx.table is not None
    assert vhdx.table.entries == 4
    assert vhdx.table.states == [2, 0, 0, 0, 0, 0, 2, 0]
    assert not vhdx.log_pending


def test_vhdx_with_damage_everywhere_still_has_facts(tmp_path: Path) -> None:
    path = write_vhdx(tmp_path / "a.vhdx", SIZE, PIECES).path
    for offset in (*builders.VHDX_HEADERS, *builders.VHDX_REGION_TABLES, builders.VHDX_METADATA):
        patch(path, offset, b"damaged!")
    vhdx = vhdx_of(path)
    assert len(vhdx.headers) == len(vhdx.region_tables) == 2
    assert (vhdx.active_header, vhdx.virtual_size, vhdx.table) == (None, None, None)
    assert vhdx.problems


def test_vhdx_with_a_bad_block_state_has_it_counted(tmp_path: Path) -> None:
    table = vhdx_of(write_vhdx(tmp_path / "a.vhdx", SIZE, PIECES, states={1: 5}).path).table
    assert table is not None
    assert table.bad_states == [(1, 5)]


@pytest.mark.parametrize("size", [SIZE, 4 * GIB])
def test_disk_of_zeros_is_known(tmp_path: Path, size: int) -> None:
    path = tmp_path / "zero.raw"
    with path.open("wb") as file:
        file.truncate(size)
    assert collect_facts(path).all_zero is True
    stored = write_vhd(tmp_path / "zero.vhd", SIZE, {0: bytes(SIZE)}).path
    assert collect_facts(stored).all_zero is True


@pytest.mark.parametrize("offset", [0, MIB, 2 * MIB, SIZE - 512])
def test_disk_with_anything_on_it_is_not_all_zero(tmp_path: Path, offset: int) -> None:
    path = write_vhd(tmp_path / "a.vhd", SIZE, {offset: pattern(512)}).path
    assert collect_facts(path).all_zero is False


def test_facts_are_collected_of_any_file(tmp_path: Path) -> None:
    path = tmp_path / "any"
    for data in (b"", b"x", b"PK\x03\x04", bytes(511), b"vhdxfile", b"conectix" * 64, b"KDMV"):
        path.write_bytes(data)
        facts = collect_facts(path)
        assert facts.file_size == len(data)
        assert (facts.open_error is None) == (facts.layout is not None)


def test_missing_file_is_the_callers_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        collect_facts(tmp_path / "none.vhd")


def test_full_table_of_a_2040_gib_disk_is_checked_in_little_time(tmp_path: Path) -> None:
    size = 2040 * GIB
    count = size // (2 * MIB)
    layout = write_vhd(tmp_path / "a.vhd", size, gpt_pieces(size, []))
    first = layout.table_offset + 4 * count
    first += -first % 512
    step = (2 * MIB + 512) // 512
    table = struct.pack(f">{count}I", *(first // 512 + at * step for at in range(count)))
    end = first + count * (2 * MIB + 512)
    sealed = layout.path.read_bytes()[:512]
    with layout.path.open("r+b") as file:
        file.truncate(end)
        file.seek(layout.table_offset)
        file.write(table)
        file.seek(end)
        file.write(sealed)
    best = 9.0
    for _ in range(3):
        start = time.perf_counter()
        facts = collect_facts(layout.path)
        best = min(best, time.perf_counter() - start)
    assert facts.vhd is not None
    assert facts.vhd.table is not None
    assert (facts.vhd.table.allocated, facts.vhd.table.past_end_count) == (count, 0)
    # The aim is 60 ms on a quiet machine; ten times that is broken on any.
    assert best < 0.6
