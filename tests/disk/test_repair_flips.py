"""One flipped bit anywhere in a structure: the disk comes back as it was, or repair refuses.

There is no second copy of what is damaged here, so a repair that believed the damage would show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.builders import (
    KIB,
    LINUX_GUID,
    MIB,
    SECTOR,
    flatten,
    footer,
    gpt_pieces,
    pattern,
    seal,
    write_fixed_vhd,
    write_vhd,
)
from vhdtool.disk import repair
from vhdtool.disk.image import open_image
from vhdtool.errors import CorruptImage, UnsupportedImage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIZE = 3 * MIB
BLOCK = 512 * KIB
PIECES = {
    **gpt_pieces(SIZE, [(LINUX_GUID, 2048, 4095, "root")]),
    MIB: pattern(4096),
    2 * MIB: pattern(SECTOR, 2),
}
DISK = flatten(SIZE, PIECES)
FOOTER_FIELDS = 85  # what follows is reserved
HEADER_FIELDS = 72  # what follows is the name of a parent


def outcomes(path: Path, offsets: range) -> Iterator[tuple[int, bytes | None]]:
    """Flip each bit, repair, and yield what the disk reads as then: None where that is refused."""
    good = path.read_bytes()
    for bit in range(8 * offsets.start, 8 * offsets.stop):
        damaged = bytearray(good)
        damaged[bit // 8] ^= 0x80 >> bit % 8
        path.write_bytes(damaged)
        try:
            repair.apply(repair.plan(path))
        except (CorruptImage, UnsupportedImage):
            assert path.read_bytes() == damaged, f"bit {bit} was refused, and the file changed"
            yield bit, None
            continue
        with open_image(path) as image:
            assert image.size == SIZE, f"bit {bit}"
            yield bit, image.read_at(0, SIZE)


def check(path: Path, offsets: range, *, mended: int) -> None:
    """Check every outcome; of all bits at least this percentage is mended."""
    count = 0
    for bit, disk in outcomes(path, offsets):
        assert disk in (None, DISK), f"bit {bit} gives another disk"
        count += disk is not None
    assert count >= mended * 8 * len(offsets) // 100


def test_the_footer_of_a_fixed_disk(tmp_path: Path) -> None:
    path = write_fixed_vhd(tmp_path / "a.vhd", SIZE, PIECES)
    check(path, range(SIZE, SIZE + FOOTER_FIELDS), mended=60)


def test_the_only_footer_of_a_dynamic_disk(tmp_path: Path) -> None:
    layout = write_vhd(tmp_path / "a.vhd", SIZE, PIECES, block_size=BLOCK, copy=bytes(SECTOR))
    fields = range(layout.footer_offset, layout.footer_offset + FOOTER_FIELDS)
    check(layout.path, fields, mended=60)


def test_the_only_copy_of_a_dynamic_disk(tmp_path: Path) -> None:
    layout = write_vhd(tmp_path / "a.vhd", SIZE, PIECES, block_size=BLOCK, tail=bytes(SECTOR))
    check(layout.path, range(FOOTER_FIELDS), mended=60)


def test_the_header_of_a_dynamic_disk(tmp_path: Path) -> None:
    layout = write_vhd(tmp_path / "a.vhd", SIZE, PIECES, block_size=BLOCK)
    check(layout.path, range(SECTOR, SECTOR + HEADER_FIELDS), mended=60)


def test_a_size_that_differs_from_the_original_proves_nothing_without_checksum(
    tmp_path: Path,
) -> None:
    tail = bytearray(footer(SIZE, disk_type=3, data_offset=512, original_size=4 * MIB))
    tail[64] ^= 1
    path = write_vhd(tmp_path / "a.vhd", SIZE, PIECES, copy=bytes(SECTOR), tail=bytes(tail)).path
    with pytest.raises(CorruptImage, match=r"current size is 3145728, expected 4194304"):
        repair.plan(path)


@pytest.mark.parametrize(("start", "length", "field"), [(0, 512, 64), (SECTOR, 1024, 36)])
def test_a_sealed_lie_is_refused_or_left_alone(
    tmp_path: Path, start: int, length: int, field: int
) -> None:
    """A field that was changed together with the checksum: nothing to mend, or too much."""
    path = write_vhd(tmp_path / "a.vhd", SIZE, PIECES, block_size=BLOCK).path
    good = path.read_bytes()
    for bit in range(8 * HEADER_FIELDS):
        structure = bytearray(good[start : start + length])
        structure[bit // 8] ^= 0x80 >> bit % 8
        sealed = seal(bytes(structure), field)
        path.write_bytes(good[:start] + sealed + good[start + length :])
        try:
            changes = repair.plan(path).changes
        except (CorruptImage, UnsupportedImage):
            continue
        assert all(change.offset + len(change.after) <= SECTOR for change in changes), bit
