"""The log of a VHDX: which entries count, what they write, and what a hostile one costs."""

from __future__ import annotations

import struct
import time
import uuid
from typing import TYPE_CHECKING

import pytest

from tests import builders
from tests.builders import KIB, MIB, log_entry, patch, pattern, vhdx_header, write_vhdx
from vhdtool.disk.image import open_image
from vhdtool.errors import CorruptImage, UnsupportedImage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

GUID = uuid.UUID(int=0xD1E7)
SIZE = 4 * MIB
PAGE = 4096


def with_log(tmp_path: Path, entries: Mapping[int, bytes], log_length: int = MIB) -> Path:
    """Write a disk of one stored block with log entries at these offsets of its log."""
    layout = write_vhdx(tmp_path / "a.vhdx", SIZE, {0: pattern(MIB)}, log_guid=GUID)
    log = builders.VHDX_LOG
    if log_length > MIB:
        log = layout.end
        with layout.path.open("r+b") as file:
            file.truncate(log + log_length)
        for number, offset in enumerate(builders.VHDX_HEADERS, 1):
            header = vhdx_header(number, log_guid=GUID, log_offset=log, log_length=log_length)
            patch(layout.path, offset, header)
    for offset, data in entries.items():
        first = data[: log_length - offset]
        patch(layout.path, log + offset, first)
        patch(layout.path, log, data[len(first) :])
    return layout.path


def entry(sequence: int, writes: Mapping[int, bytes], *, tail: int = 0, **more: object) -> bytes:
    sizes = {"flushed": 5 * MIB, "last": 5 * MIB}
    return log_entry(GUID, writes, sequence=sequence, tail=tail, **sizes, **more)  # type: ignore[arg-type]


def page(seed: int) -> bytes:
    return pattern(PAGE, seed)


def first_block(path: Path) -> int:
    """Return where the stored block lies in the file."""
    return path.read_bytes().index(pattern(512))


def test_later_entries_write_over_earlier_ones(tmp_path: Path) -> None:
    block = first_block(with_log(tmp_path, {}))
    entries = {
        0: entry(7, {block: page(2), block + PAGE: page(3)}),
        3 * PAGE: entry(8, {block + PAGE: page(4)}),
    }
    with open_image(with_log(tmp_path, entries)) as image:
        assert image.read_at(0, 3 * PAGE) == page(2) + page(4) + pattern(MIB)[2 * PAGE : 3 * PAGE]
        assert image.vhdx is not None
        assert image.vhdx.log_entries == 2


def test_a_torn_last_entry_leaves_the_sequence_before_it(tmp_path: Path) -> None:
    block = first_block(with_log(tmp_path, {}))
    torn = entry(9, {block: page(5)})[:-1] + b"?"
    entries = {0: entry(7, {block: page(2)}), 2 * PAGE: entry(8, {}), 3 * PAGE: torn}
    with open_image(with_log(tmp_path, entries)) as image:
        assert image.read_at(0, PAGE) == page(2)


def test_the_sequence_with_the_greatest_number_counts(tmp_path: Path) -> None:
    block = first_block(with_log(tmp_path, {}))
    entries = {
        0: entry(7, {block: page(2)}),
        8 * PAGE: entry(20, {block: page(3)}, tail=8 * PAGE),
        16 * PAGE: entry(12, {block: page(4)}, tail=16 * PAGE),
    }
    with open_image(with_log(tmp_path, entries)) as image:
        assert image.read_at(0, PAGE) == page(3)


def test_entries_go_on_at_the_start_of_the_log(tmp_path: Path) -> None:
    block = first_block(with_log(tmp_path, {}))
    last = MIB - PAGE
    entries = {
        last: entry(7, {block: page(2)}, tail=last),
        PAGE: entry(8, {block + PAGE: page(3)}, tail=last),
    }
    with open_image(with_log(tmp_path, entries)) as image:
        assert image.read_at(0, 2 * PAGE) == page(2) + page(3)


def test_zeros_are_written_and_written_over(tmp_path: Path) -> None:
    block = first_block(with_log(tmp_path, {}))
    entries = {
        0: entry(7, {}, zeros={block: 64 * KIB}),
        PAGE: entry(8, {block + PAGE: page(3)}),
    }
    with open_image(with_log(tmp_path, entries)) as image:
        expected = bytes(PAGE) + page(3) + bytes(64 * KIB - 2 * PAGE)
        assert image.read_at(0, len(expected)) == expected
        assert image.read_at(64 * KIB, PAGE) == pattern(MIB)[64 * KIB : 64 * KIB + PAGE]


def test_a_log_that_writes_without_end_is_unsupported(tmp_path: Path) -> None:
    endless = entry(7, {}, zeros={PAGE * number: 0 for number in range(20000)})
    with pytest.raises(UnsupportedImage, match="log writes more than"):
        open_image(with_log(tmp_path, {0: endless}))


def test_entries_that_all_claim_the_whole_log_cost_little(tmp_path: Path) -> None:
    length = 64 * MIB
    fields = (b"loge", 0, length, 0, 1, 0, 0, GUID.bytes_le, 0, 0)
    claim = struct.pack("<4sIIIQII16sQQ", *fields)
    path = with_log(tmp_path, dict.fromkeys(range(0, length, PAGE), claim), length)
    start = time.process_time()
    with pytest.raises(CorruptImage, match="entries that cover it more than 16 times"):
        open_image(path)
    assert time.process_time() - start < 5


def test_chains_that_all_break_late_cost_little(tmp_path: Path) -> None:
    length = 16 * MIB
    count = length // PAGE
    entries = {PAGE * at: entry(at + 1, {}) for at in range(count) if at != count // 2}
    path = with_log(tmp_path, entries, length)
    start = time.process_time()
    with open_image(path) as image:
        assert image.vhdx is not None
        assert image.vhdx.log_entries == count // 2
    assert time.process_time() - start < 5
