"""`vhdtool map`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.builders import GIB, MIB, SECTOR, pattern, write_vhd
from vhdtool.disk.disk import Extent, ExtentKind
from vhdtool.report.picture import Picture, coalesced

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

    Command = Callable[..., Outcome]

DATA, ZERO, HOLE = ExtentKind.DATA, ExtentKind.ZERO, ExtentKind.HOLE


def dynamic(tmp_path: Path) -> Path:
    return write_vhd(tmp_path / "disk.vhd", 16 * MIB, {4 * MIB: pattern(2 * MIB)}).path


def test_json_lists_every_extent_without_gaps(vhdtool: Command, tmp_path: Path) -> None:
    done = vhdtool("map", "--format", "json", dynamic(tmp_path))
    answer = json.loads(done.out)
    assert answer["size"] == 16 * MIB
    assert answer["extents"] == [
        {"offset": 0, "length": 4 * MIB, "kind": "hole"},
        {"offset": 4 * MIB, "length": 2 * MIB, "kind": "data"},
        {"offset": 6 * MIB, "length": 10 * MIB, "kind": "hole"},
    ]
    assert answer["totals"] == {"data": 2 * MIB, "zero": 0, "hole": 14 * MIB}


def test_text_has_a_picture_totals_and_extents(vhdtool: Command, tmp_path: Path) -> None:
    done = vhdtool("map", dynamic(tmp_path))
    assert done.status == 0
    assert "data   12.5%  2097152 bytes (2 MiB)" in done.out
    assert "0x400000           2097152  data" in done.out
    assert len(done.out.splitlines()) <= 40


def test_the_list_is_cut_and_says_so(vhdtool: Command, tmp_path: Path) -> None:
    done = vhdtool("map", "--limit", "1", dynamic(tmp_path))
    assert "2 more extents: --limit 3 or --format json lists them" in done.out
    assert "0x400000" not in done.out


def test_an_empty_disk_has_a_map(vhdtool: Command, tmp_path: Path) -> None:
    image = write_vhd(tmp_path / "empty.vhd", 40 * GIB, {}).path
    done = vhdtool("map", image)
    assert done.status == 0
    assert "hole  100.0%" in done.out


def test_neighbours_of_one_kind_are_one_extent() -> None:
    pieces = [Extent(0, 5, DATA), Extent(5, 5, DATA), Extent(10, 1, HOLE), Extent(11, 1, HOLE)]
    assert list(coalesced(pieces)) == [Extent(0, 10, DATA), Extent(10, 2, HOLE)]
    assert list(coalesced([])) == []


def test_a_picture_fits_its_screen_and_shows_the_least_data() -> None:
    for size in (SECTOR, MIB, 7 * MIB + SECTOR, 2040 * GIB):
        picture = Picture(size, 80)
        picture.add(Extent(0, size - SECTOR, HOLE)) if size > SECTOR else None
        picture.add(Extent(size - SECTOR, SECTOR, DATA))
        rows = list(picture.rows())
        assert len(rows) <= 16
        assert max(map(len, rows)) <= 80
        assert rows[-1][-1] == ("#" if size <= 7 * MIB and size < 2 * SECTOR else rows[-1][-1])
        assert rows[-1][-1] in "#+"


def test_a_picture_tells_kinds_apart() -> None:
    picture = Picture(4 * SECTOR, 80)
    for at, kind in enumerate((DATA, ZERO, HOLE, DATA)):
        picture.add(Extent(at * SECTOR, SECTOR, kind))
    assert [row.split()[-1] for row in picture.rows()] == ["#0.#"]
