"""VHDX: headers, regions, metadata, log, block states."""

from __future__ import annotations

import os
import struct
import subprocess
import uuid
from typing import TYPE_CHECKING

import pytest

from tests import builders
from tests.builders import GIB, MIB, TIB, flatten, log_entry, patch, pattern, write_vhdx
from vhdtool._native import File
from vhdtool.disk.disk import ExtentKind
from vhdtool.disk.image import open_image
from vhdtool.disk.vhdx import read_vhdx
from vhdtool.errors import CorruptImage, UnsupportedImage

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 5 * MIB
PIECES = {0: pattern(1024), 2 * MIB - 512: pattern(1024, 2), SIZE - 512: pattern(512, 3)}
LOG_GUID = uuid.UUID(int=0xD1E7)


def problems(path: Path) -> str:
    return "\n".join(sentence for _, sentence in read_vhdx(File(path)).problems)


@pytest.mark.parametrize("block_size", [MIB, 2 * MIB, 256 * MIB])
@pytest.mark.parametrize("sector_size", [512, 4096])
def test_disks_of_all_block_and_sector_sizes_are_read(
    tmp_path: Path, block_size: int, sector_size: int
) -> None:
    path = write_vhdx(
        tmp_path / "a.vhdx", SIZE, PIECES, block_size=block_size, sector_size=sector_size
    ).path
    with open_image(path) as image:
        assert (image.size, image.sector_size) == (SIZE, sector_size)
        assert image.read_at(0, SIZE) == flatten(SIZE, PIECES)
        assert image.vhdx is not None
        assert image.vhdx.problems == ()
        assert image.vhdx.creator == "vhdtool tests"


@pytest.mark.parametrize("block_size", [MIB, 32 * MIB])
def test_data_past_the_first_chunk_is_found_behind_its_bitmap_entry(
    tmp_path: Path, block_size: int
) -> None:
    """A chunk is 4 GiB; each is followed by an entry for its bitmap that is no block's."""
    size = 13 * GIB
    places = (0, 4 * GIB - 512, 4 * GIB, 8 * GIB - 512, 8 * GIB, 12 * GIB + MIB, size - 512)
    pieces = {place: pattern(512, seed + 1) for seed, place in enumerate(places)}
    with open_image(write_vhdx(tmp_path / "a.vhdx", size, pieces, block_size=block_size).path) as i:
        for place, data in pieces.items():
            assert i.read_at(place, 512) == data
        stored = sum(extent.length for extent in i.extents() if extent.kind is ExtentKind.DATA)
        assert stored == len({place // block_size for place in places}) * block_size - (
            -size % block_size
        )


def test_qemu_and_we_agree_past_the_first_chunk(tmp_path: Path, qemu_img: str) -> None:
    size = 5 * GIB
    pieces = {GIB: pattern(4096), 4 * GIB + MIB: pattern(4096, 2)}
    vhdx = write_vhdx(tmp_path / "a.vhdx", size, pieces).path
    raw = tmp_path / "a.raw"
    with open_image(vhdx) as image, raw.open("wb") as file:
        file.truncate(size)
        for extent in image.extents():
            if extent.kind is ExtentKind.DATA:
                file.seek(extent.offset)
                file.write(image.read_at(extent.offset, extent.length))
    command = [qemu_img, "compare", "-f", "vhdx", "-F", "raw", vhdx, raw]
    assert subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode == 0


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (builders.NOT_PRESENT, ExtentKind.HOLE),
        (builders.UNDEFINED, None),
        (builders.ZERO, ExtentKind.ZERO),
        (builders.UNMAPPED, None),
    ],
)
def test_blocks_without_data_read_as_zero_in_every_state(
    tmp_path: Path, state: int, kind: ExtentKind | None
) -> None:
    path = write_vhdx(tmp_path / "a.vhdx", SIZE, {0: pattern(512)}, states={2: state}).path
    with open_image(path) as image:
        assert image.read_at(2 * MIB, MIB) == bytes(MIB)
        (extent,) = image.extents(2 * MIB, MIB)
        assert extent.kind is not ExtentKind.DATA
        assert kind is None or extent.kind is kind


@pytest.mark.parametrize("state", [4, 5])
def test_undefined_block_states_are_an_error_when_they_are_read(tmp_path: Path, state: int) -> None:
    path = write_vhdx(tmp_path / "a.vhdx", SIZE, {0: pattern(512)}, states={2: state}).path
    with open_image(path) as image, pytest.raises(CorruptImage):
        image.read_at(2 * MIB, 512)


@pytest.mark.parametrize(("sequences", "active"), [((1, 2), 1), ((9, 2), 0)])
def test_the_sound_header_with_the_greater_number_counts(
    tmp_path: Path, sequences: tuple[int, int], active: int
) -> None:
    path = write_vhdx(tmp_path / "a.vhdx", SIZE, PIECES, sequences=sequences).path
    assert read_vhdx(File(path)).active_header == active
    patch(path, builders.VHDX_HEADERS[active] + 200, b"x")
    with open_image(path) as image:
        assert image.vhdx is not None
        assert image.vhdx.active_header == 1 - active
        assert f"VHDX header {active + 1}: checksum is" in problems(path)


def test_two_damaged_headers_are_refused(tmp_path: Path) -> None:
    path = write_vhdx(tmp_path / "a.vhdx", SIZE, PIECES).path
    for offset in builders.VHDX_HEADERS:
        patch(path, offset, b"dead")
    with pytest.raises(CorruptImage, match="neither of the two"):
        open_image(path)
    assert "signature is b'dead'" in problems(path)


def test_two_headers_with_one_number_and_different_content_are_refused(tmp_path: Path) -> None:
    path = write_vhdx(tmp_path / "a.vhdx", SIZE, PIECES, sequences=(3, 3)).path
    with open_image(path) as image:
        assert image.size == SIZE
    patch(path, builders.VHDX_HEADERS[1], builders.vhdx_header(3, data_write_guid=uuid.uuid4()))
    with pytest.raises(CorruptImage, match="sequence number 3"):
        open_image(path)


def test_unknown_version_is_unsupported(tmp_path: Path) -> None:
    path = write_vhdx(tmp_path / "a.vhdx", SIZE, PIECES).path
    patch(path, builders.VHDX_HEADERS[1], builders.vhdx_header(5, version=2))
    with pytest.raises(UnsupportedImage, match="version is 2, expected 1"):
        open_image(path)


def test_second_region_table_serves_when_the_first_is_damaged(tmp_path: Path) -> None:
    path = write_vhdx(tmp_path / "a.vhdx", SIZE, PIECES).path
    patch(path, builders.VHDX_REGION_TABLES[0] + 20, b"x")
    with open_image(path) as image:
        assert image.vhdx is not None
        assert image.vhdx.active_region_table == 1
        assert image.read_at(0, SIZE) == flatten(SIZE, PIECES)
    assert "VHDX region table 1: checksum is" in problems(path)


def test_unknown_region_is_unsupported_only_where_it_is_required(tmp_path: Path) -> None:
    region = (uuid.uuid4(), 4 * MIB, MIB)
    optional = write_vhdx(tmp_path / "a.vhdx", SIZE, PIECES, extra_regions=[(*region, 0)])
    with open_image(optional.path) as image:
        assert image.size == SIZE
    required = write_vhdx(tmp_path / "b.vhdx", SIZE, PIECES, extra_regions=[(*region, 1)])
    with pytest.raises(UnsupportedImage, match=f"requires the unknown region {region[0]}"):
        open_image(required.path)


def test_unknown_item_is_unsupported_only_where_it_is_required(tmp_path: Path) -> None:
    item = uuid.uuid4()
    optional = write_vhdx(tmp_path / "a.vhdx", SIZE, PIECES, extra_items=[(item, b"x", 0)])
    with open_image(optional.path) as image:
        assert image.size == SIZE
    required = write_vhdx(tmp_path / "b.vhdx", SIZE, PIECES, extra_items=[(item, b"x", 4)])
    with pytest.raises(UnsupportedImage, match=f"requires the unknown item {item}"):
        open_image(required.path)


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        ([], "no block table region"),
        ([(builders.BAT_GUID, 3 * MIB, MIB, 1)], "no metadata region"),
        ([(builders.BAT_GUID, 3 * MIB, MIB, 1)] * 2, "twice"),
        ([(builders.BAT_GUID, MIB // 2, MIB, 1), (builders.METADATA_GUID, 2 * MIB, MIB, 1)], "MiB"),
        ([(builders.BAT_GUID, TIB, MIB, 1), (builders.METADATA_GUID, 2 * MIB, MIB, 1)], "inside"),
        (
            [
                (builders.BAT_GUID, (1 << 64) - MIB, MIB, 1),
                (builders.METADATA_GUID, 2 * MIB, MIB, 1),
            ],
            "inside",
        ),
        ([(builders.BAT_GUID, 2 * MIB, MIB, 1), (builders.METADATA_GUID, 2 * MIB, MIB, 1)], "ends"),
    ],
)
def test_impossible_regions_are_refused(
    tmp_path: Path, regions: list[tuple[uuid.UUID, int, int, int]], message: str
) -> None:
    path = write_vhdx(tmp_path / "a.vhdx", SIZE, PIECES).path
    for offset in builders.VHDX_REGION_TABLES:
        patch(path, offset, builders.region_table(regions))
    with pytest.raises(CorruptImage, match=message):
        open_image(path)


def items(**changes: bytes | None) -> list[tuple[uuid.UUID, bytes, int]]:
    """Return the five items of every disk, with some changed or left out."""
    sound = {
        "parameters": (builders.FILE_PARAMETERS, struct.pack("<II", MIB, 0), 4),
        "size": (builders.VIRTUAL_SIZE, struct.pack("<Q", SIZE), 6),
        "logical": (builders.LOGICAL_SECTOR, struct.pack("<I", 512), 6),
        "physical": (builders.PHYSICAL_SECTOR, struct.pack("<I", 512), 6),
        "identifier": (builders.VIRTUAL_ID, bytes(16), 6),
    }
    changed = []
    for name, (item, value, flags) in sound.items():
        new = changes.get(name, value)
        if new is not None:
            changed.append((item, new, flags))
    return changed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": None}, "no virtual disk size item"),
        ({"identifier": None}, "no virtual disk identifier item"),
        ({"size": struct.pack("<Q", 0)}, "0 bytes, expected whole sectors"),
        ({"size": struct.pack("<Q", 64 * TIB + 512)}, "at most 64 TiB"),
        ({"size": struct.pack("<Q", SIZE + 1)}, "whole sectors"),
        ({"size": struct.pack("<I", 5)}, "has 4 bytes, expected 8"),
        ({"logical": struct.pack("<I", 2048)}, "logical sector size is 2048, expected 512 or 4096"),
        ({"parameters": struct.pack("<II", 3 * MIB, 0)}, "block size is 3145728"),
        ({"parameters": struct.pack("<II", 512 * MIB, 0)}, "block size is 536870912"),
        ({"parameters": struct.pack("<II", 0, 0)}, "block size is 0"),
        ({"parameters": struct.pack("<II", MIB, 2)}, "no parent locator item"),
        ({"size": struct.pack("<Q", 64 * TIB)}, "1048576 bytes, expected at least"),
    ],
)
def test_impossible_metadata_is_refused(
    tmp_path: Path, changes: dict[str, bytes | None], message: str
) -> None:
    path = write_vhdx(tmp_path / "a.vhdx", SIZE, PIECES).path
    patch(path, builders.VHDX_METADATA, builders.metadata_region(items(**changes)))
    with pytest.raises(CorruptImage, match=message):
        open_image(path)
    assert problems(path)


def test_odd_physical_sector_size_is_only_a_problem(tmp_path: Path) -> None:
    path = write_vhdx(tmp_path / "a.vhdx", SIZE, PIECES).path
    changed = builders.metadata_region(items(physical=struct.pack("<I", 3)))
    patch(path, builders.VHDX_METADATA, changed)
    with open_image(path) as image:
        assert image.size == SIZE
    assert "physical sector size is 3" in problems(path)


def test_item_outside_its_region_is_refused(tmp_path: Path) -> None:
    path = write_vhdx(tmp_path / "a.vhdx", SIZE, PIECES).path
    patch(path, builders.VHDX_METADATA + 32 + 32 + 16, struct.pack("<I", MIB - 4))
    with pytest.raises(CorruptImage, match="virtual disk size item has 8 bytes at offset 0xffffc"):
        open_image(path)


# --- the log


def dirty(tmp_path: Path, **changes: int) -> tuple[Path, int]:
    """Write a disk whose block table is only in its log."""
    layout = write_vhdx(tmp_path / "dirty.vhdx", SIZE, PIECES, log_guid=LOG_GUID)
    with layout.path.open("rb") as file:
        file.seek(layout.bat_offset)
        table = file.read(4096)
    patch(layout.path, layout.bat_offset, bytes(4096))
    values = {"flushed": layout.end, "last": layout.end} | changes
    entry = log_entry(LOG_GUID, {layout.bat_offset: table}, **values)
    patch(layout.path, builders.VHDX_LOG, entry)
    return layout.path, layout.bat_offset


def test_pending_log_is_replayed_in_memory_only(tmp_path: Path) -> None:
    path, bat_offset = dirty(tmp_path)
    before = path.read_bytes()
    with open_image(path) as image:
        assert image.read_at(0, SIZE) == flatten(SIZE, PIECES)
        assert image.vhdx is not None
        assert (image.vhdx.log_pending, image.vhdx.log_entries) == (True, 1)
    assert path.read_bytes() == before
    assert before[bat_offset : bat_offset + 4096] == bytes(4096)


def test_qemu_reads_the_same_after_it_repaired_the_log(tmp_path: Path, qemu_img: str) -> None:
    path, _ = dirty(tmp_path)
    with open_image(path) as image:
        ours = image.read_at(0, SIZE)
    subprocess.run(
        [qemu_img, "check", "-q", "-r", "all", path], check=True, stdout=subprocess.DEVNULL
    )
    raw = tmp_path / "qemu.raw"
    subprocess.run([qemu_img, "convert", "-f", "vhdx", "-O", "raw", path, raw], check=True)
    assert raw.read_bytes() == ours


def test_log_may_mend_the_region_table(tmp_path: Path) -> None:
    layout = write_vhdx(tmp_path / "a.vhdx", SIZE, PIECES, log_guid=LOG_GUID)
    offset = builders.VHDX_REGION_TABLES[0]
    with layout.path.open("rb") as file:
        file.seek(offset)
        first_page = file.read(4096)
    for place in builders.VHDX_REGION_TABLES:
        patch(layout.path, place, bytes(4096))
    entry = log_entry(LOG_GUID, {offset: first_page}, flushed=layout.end, last=layout.end)
    patch(layout.path, builders.VHDX_LOG, entry)
    with open_image(layout.path) as image:
        assert image.read_at(0, SIZE) == flatten(SIZE, PIECES)


def test_log_without_a_valid_entry_is_refused(tmp_path: Path) -> None:
    path, _ = dirty(tmp_path)
    patch(path, builders.VHDX_LOG + 100, b"torn")
    with pytest.raises(CorruptImage):
        open_image(path)
    assert problems(path)


@pytest.mark.parametrize(
    ("length", "offset"), [(MIB, MIB // 2), (MIB, TIB), (0, MIB), (4096, MIB), (0xFFF00000, MIB)]
)
def test_log_that_lies_nowhere_is_refused(tmp_path: Path, length: int, offset: int) -> None:
    path, _ = dirty(tmp_path)
    header = builders.vhdx_header(9, log_guid=LOG_GUID, log_length=length, log_offset=offset)
    patch(path, builders.VHDX_HEADERS[0], header)
    with pytest.raises(CorruptImage, match="VHDX log"):
        open_image(path)


@pytest.mark.parametrize("cut", [8, 64 * 1024, 100 * 1024, 2 * MIB, 3 * MIB + 5])
def test_truncated_files_are_refused(tmp_path: Path, cut: int) -> None:
    path = write_vhdx(tmp_path / "a.vhdx", SIZE, PIECES).path
    os.truncate(path, cut)
    with pytest.raises(CorruptImage):
        open_image(path)
    assert read_vhdx(File(path)).facts().problems
