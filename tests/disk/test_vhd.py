"""Dynamic VHDs: what is read, what is refused, and where other readers differ."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import pytest

from tests import builders
from tests.builders import GIB, KIB, MIB, TIB, flatten, footer, patch, pattern, write_vhd
from vhdtool.disk.disk import ExtentKind
from vhdtool.disk.image import open_image
from vhdtool.errors import CorruptImage

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 5 * MIB
PIECES = {0: pattern(1024), 2 * MIB - 512: pattern(1024, 2), SIZE - 512: pattern(512, 3)}


def header_patch(path: Path, offset: int, data: bytes) -> None:
    """Change the dynamic header at 512 and seal it again."""
    raw = bytearray(path.read_bytes()[512:1536])
    raw[offset : offset + len(data)] = data
    patch(path, 512, builders.seal(bytes(raw), 36))


@pytest.mark.parametrize("block_size", [4 * KIB, 512 * KIB, 2 * MIB, 256 * MIB])
@pytest.mark.parametrize("reverse", [False, True])
def test_blocks_of_any_size_and_order_are_read(
    tmp_path: Path, block_size: int, reverse: bool
) -> None:
    path = write_vhd(tmp_path / "a.vhd", SIZE, PIECES, block_size=block_size, reverse=reverse).path
    with open_image(path) as image:
        assert image.read_at(0, SIZE) == flatten(SIZE, PIECES)


def test_reads_across_the_edge_of_a_hole_are_right(tmp_path: Path) -> None:
    pieces = {2 * MIB: pattern(2 * MIB)}
    expected = flatten(6 * MIB, pieces)
    with open_image(write_vhd(tmp_path / "a.vhd", 6 * MIB, pieces).path) as image:
        for edge in (2 * MIB, 4 * MIB):
            assert image.read_at(edge - 700, 1400) == expected[edge - 700 : edge + 700]
        assert [(e.offset, e.length, e.kind) for e in image.extents()] == [
            (0, 2 * MIB, ExtentKind.HOLE),
            (2 * MIB, 2 * MIB, ExtentKind.DATA),
            (4 * MIB, 2 * MIB, ExtentKind.HOLE),
        ]


def test_the_last_block_is_clipped_to_the_size(tmp_path: Path) -> None:
    with open_image(write_vhd(tmp_path / "a.vhd", SIZE, PIECES).path) as image:
        assert image.size == SIZE
        assert len(image.read_at(SIZE - 100, 4096)) == 100
        assert image.read_at(SIZE, 1) == b""
        assert sum(extent.length for extent in image.extents()) == SIZE


@pytest.mark.parametrize("creator", [b"vpc ", b"vs  ", b"qemu", b"win ", b"tap\0"])
def test_size_is_the_current_size_whoever_made_the_disk(tmp_path: Path, creator: bytes) -> None:
    """qemu 7 takes CHS for `vpc ` and `qemu`, and the disk comes out short or long."""
    sealed = footer(SIZE, disk_type=3, data_offset=512, creator=creator, geometry=(100, 4, 17))
    path = write_vhd(tmp_path / "a.vhd", SIZE, PIECES, copy=sealed, tail=sealed).path
    with open_image(path) as image:
        assert image.size == SIZE


def test_sectors_with_a_clear_bit_are_zero_and_with_ignore_bitmap_as_stored(
    tmp_path: Path,
) -> None:
    """The specification, Xen, VirtualBox and DiscUtils read zeros; qemu reads what is stored."""
    layout = write_vhd(tmp_path / "a.vhd", 2 * MIB, {0: pattern(4096)})
    patch(layout.path, layout.blocks[0], b"\x0f")
    expected = flatten(2 * MIB, {2048: pattern(4096)[2048:]})
    with open_image(layout.path) as image:
        assert image.read_at(0, 2 * MIB) == expected
    with open_image(layout.path, ignore_bitmap=True) as image:
        assert image.read_at(0, 2 * MIB) == flatten(2 * MIB, {0: pattern(4096)})


def test_table_with_more_entries_than_needed_is_read(tmp_path: Path) -> None:
    layout = write_vhd(tmp_path / "a.vhd", SIZE, PIECES, table_entries=4)
    with open_image(layout.path) as image:
        assert image.size == SIZE
        assert image.read_at(0, SIZE) == flatten(SIZE, PIECES)


def test_blocks_past_a_table_that_is_too_small_read_as_zero(tmp_path: Path) -> None:
    layout = write_vhd(tmp_path / "a.vhd", SIZE, PIECES, table_entries=2)
    with open_image(layout.path) as image:
        assert image.size == SIZE
        assert image.read_at(0, SIZE) == flatten(SIZE, PIECES)[: 4 * MIB] + bytes(MIB)


@pytest.mark.parametrize("entries", [0xFFFFFFFF, 1 << 31])
def test_header_that_claims_four_billion_entries_costs_nothing(
    tmp_path: Path, entries: int
) -> None:
    layout = write_vhd(tmp_path / "a.vhd", SIZE, PIECES)
    header_patch(layout.path, 28, struct.pack(">I", entries))
    with open_image(layout.path) as image:
        assert image.read_at(0, SIZE) == flatten(SIZE, PIECES)


def test_size_of_64_tib_with_a_small_table_is_refused(tmp_path: Path) -> None:
    huge = footer(64 * TIB, disk_type=3, data_offset=512)
    path = write_vhd(tmp_path / "a.vhd", SIZE, PIECES, copy=huge, tail=huge).path
    header_patch(path, 28, struct.pack(">I", 0xFFFFFFFF))
    with pytest.raises(CorruptImage, match="block allocation table at offset 0x600"):
        open_image(path)


@pytest.mark.parametrize("entry", [0x00FFFFFF, 0xFFFFFFFE])
def test_block_past_the_end_of_the_file_is_an_error_when_it_is_read(
    tmp_path: Path, entry: int
) -> None:
    layout = write_vhd(tmp_path / "a.vhd", SIZE, PIECES)
    patch(layout.path, layout.table_offset, struct.pack(">I", entry))
    with open_image(layout.path) as image, pytest.raises(CorruptImage):
        image.read_at(0, 512)


@pytest.mark.parametrize("block_size", [0, 512, 2048, 3 * MIB, 512 * MIB, 0xFFFFFFFF])
def test_impossible_block_sizes_are_refused(tmp_path: Path, block_size: int) -> None:
    layout = write_vhd(tmp_path / "a.vhd", SIZE, PIECES)
    header_patch(layout.path, 32, struct.pack(">I", block_size))
    with pytest.raises(CorruptImage, match=f"block size is {block_size}, expected a power of two"):
        open_image(layout.path)


def test_damaged_dynamic_header_names_both_checksums(tmp_path: Path) -> None:
    layout = write_vhd(tmp_path / "a.vhd", SIZE, PIECES)
    patch(layout.path, 512 + 36, b"\x12\x34\x56\x78")
    with pytest.raises(CorruptImage, match=r"checksum is 0x12345678, expected 0x\w{8}") as caught:
        open_image(layout.path)
    assert (caught.value.structure, caught.value.offset) == ("dynamic header", 512)
    assert caught.value.path == layout.path


@pytest.mark.parametrize("offset", [1 << 40, (1 << 64) - 512, (1 << 63) - 4])
def test_table_outside_the_file_is_refused(tmp_path: Path, offset: int) -> None:
    layout = write_vhd(tmp_path / "a.vhd", SIZE, PIECES)
    header_patch(layout.path, 16, struct.pack(">Q", offset))
    with pytest.raises(CorruptImage, match="block allocation table"):
        open_image(layout.path)


@pytest.mark.parametrize("offset", [1 << 40, (1 << 64) - 512, (1 << 63) + 1])
def test_dynamic_header_outside_the_file_is_refused(tmp_path: Path, offset: int) -> None:
    wrong = footer(SIZE, disk_type=3, data_offset=offset)
    path = write_vhd(tmp_path / "a.vhd", SIZE, PIECES, copy=wrong, tail=wrong).path
    with pytest.raises(CorruptImage, match="dynamic header"):
        open_image(path)


def test_table_after_the_data_is_read(tmp_path: Path) -> None:
    layout = write_vhd(tmp_path / "a.vhd", SIZE, PIECES)
    data = layout.path.read_bytes()
    table = data[layout.table_offset : layout.table_offset + 512]
    patch(layout.path, layout.table_offset, bytes(512))
    patch(layout.path, layout.footer_offset, table + data[-512:])
    header_patch(layout.path, 16, struct.pack(">Q", layout.footer_offset))
    with open_image(layout.path) as image:
        assert image.read_at(0, SIZE) == flatten(SIZE, PIECES)


def test_truncated_disk_reads_what_is_left_and_names_what_is_not(tmp_path: Path) -> None:
    layout = write_vhd(tmp_path / "a.vhd", SIZE, PIECES)
    os.truncate(layout.path, layout.blocks[2] + 512)
    with open_image(layout.path) as image:
        assert image.read_at(0, 1024) == PIECES[0]
        with pytest.raises(CorruptImage, match="offset"):
            image.read_at(SIZE - 512, 512)


def test_disk_of_2040_gib_is_read_at_both_ends(tmp_path: Path) -> None:
    size = 2040 * GIB
    pieces = {0: pattern(512), size - 512: pattern(512, 2)}
    with open_image(write_vhd(tmp_path / "a.vhd", size, pieces).path) as image:
        assert image.read_at(0, 1024) == pattern(512) + bytes(512)
        assert image.read_at(size - 1024, 1024) == bytes(512) + pattern(512, 2)


def test_closed_image_says_so(tmp_path: Path) -> None:
    image = open_image(write_vhd(tmp_path / "a.vhd", SIZE).path)
    image.close()
    with pytest.raises(ValueError, match="is closed"):
        image.read_at(0, 1)


def test_source_is_never_written(tmp_path: Path) -> None:
    path = write_vhd(tmp_path / "a.vhd", SIZE, PIECES).path
    path.chmod(0o444)
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    with open_image(path) as image:
        image.read_at(0, SIZE)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_a_read_of_more_than_memory_is_a_memory_error(tmp_path: Path) -> None:
    """A library that is asked for what a header claims must not end the process."""
    path = write_vhd(tmp_path / "a.vhd", 2040 * GIB, {0: pattern(512)}).path
    with open_image(path) as image, pytest.raises(MemoryError):
        image.read_at(0, image.size)
