"""`vhdtool compare`."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.builders import MIB, SECTOR, patch, pattern, write_fixed_vhd, write_vhd, write_vhdx

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

    Command = Callable[..., Outcome]

SIZE = 4 * MIB
PIECES = {SECTOR: pattern(4096), 3 * MIB: pattern(SECTOR)}


@pytest.fixture
def images(tmp_path: Path) -> dict[str, Path]:
    return {
        "fixed": write_fixed_vhd(tmp_path / "fixed.vhd", SIZE, PIECES),
        "dynamic": write_vhd(tmp_path / "dynamic.vhd", SIZE, PIECES).path,
        "vhdx": write_vhdx(tmp_path / "disk.vhdx", SIZE, PIECES).path,
    }


@pytest.mark.parametrize("other", ["dynamic", "vhdx"])
def test_the_same_disk_in_other_formats_is_equal(
    vhdtool: Command, images: dict[str, Path], other: str
) -> None:
    done = vhdtool("compare", images["fixed"], images[other])
    assert (done.status, done.out) == (0, "equal: 4194304 bytes (4 MiB)\n")


def test_differences_are_counted_and_the_first_is_told(
    vhdtool: Command, images: dict[str, Path]
) -> None:
    patch(images["fixed"], 700, b"\xaa\xbb\xcc")
    patch(images["fixed"], 3 * MIB, b"\xaa")
    done = vhdtool("compare", images["fixed"], images["dynamic"])
    assert done.status == 1
    assert done.out.startswith("different: ")
    assert done.out.endswith("the first at offset 0x2bc\n")
    answer = json.loads(
        vhdtool("compare", "--format", "json", images["fixed"], images["dynamic"]).out
    )
    assert answer["equal"] is False
    assert answer["first_difference"] == 700
    assert answer["different_bytes"] == 4


def test_a_longer_disk_is_different_unless_its_end_is_zeros_and_padded(
    vhdtool: Command, images: dict[str, Path], tmp_path: Path
) -> None:
    longer = write_fixed_vhd(tmp_path / "longer.vhd", SIZE + MIB, PIECES)
    done = vhdtool("compare", images["fixed"], longer)
    assert done.status == 1
    assert "sizes differ: A has 4194304 bytes (4 MiB), B has 5242880 bytes (5 MiB)" in done.out
    assert vhdtool("compare", "--pad", images["fixed"], longer).status == 0
    patch(longer, SIZE + 5, b"x")
    padded = vhdtool("compare", "--pad", longer, images["fixed"])
    assert padded.status == 1
    assert "1 bytes, the first at offset 0x400005" in padded.out


@pytest.mark.parametrize("name", ["fixed", "dynamic", "vhdx"])
def test_a_second_reader_sees_the_same_disk(
    vhdtool: Command, images: dict[str, Path], name: str
) -> None:
    pytest.importorskip("pyvhdi", reason="libvhdi-python is not installed")
    done = vhdtool("compare", "--with", "pyvhdi", images[name])
    assert done.status == 0, done.err
    assert vhdtool("compare", "--with", "pyvhdi", images["fixed"], images[name]).status == 0


def test_a_second_reader_takes_names_that_are_no_text(
    vhdtool: Command, images: dict[str, Path], tmp_path: Path
) -> None:
    pytest.importorskip("pyvhdi", reason="libvhdi-python is not installed")
    path = images["fixed"].rename(tmp_path / os.fsdecode(b"\xff.vhd"))
    assert vhdtool("compare", "--with", "pyvhdi", path).status == 0


def test_a_second_reader_that_is_missing_is_told(
    vhdtool: Command, images: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pyvhdi", None)
    done = vhdtool("compare", "--with", "pyvhdi", images["fixed"])
    assert done.status == 3
    assert "hint: pip install 'vhdtool[pyvhdi]'" in done.err


def test_a_second_reader_is_not_asked_for_formats_it_does_not_read(
    vhdtool: Command, tmp_path: Path
) -> None:
    pytest.importorskip("pyvhdi", reason="libvhdi-python is not installed")
    raw = tmp_path / "disk.raw"
    raw.write_bytes(bytes(MIB))
    assert "libvhdi reads VHD and VHDX" in vhdtool("compare", "--with", "pyvhdi", raw).err
