"""Geometry by the VHD specification, at the places where implementations differ."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vhdtool.formats.chs import Geometry, geometry_for
from vhdtool.formats.vhd import Footer
from vhdtool.units import GIB, MIB, SECTOR_SIZE, TIB

if TYPE_CHECKING:
    from pathlib import Path

LARGE = 65535 * 16 * 63
MAXIMUM = 65535 * 16 * 255


@pytest.mark.parametrize(
    ("sectors", "expected"),
    [
        (0, (0, 4, 17)),
        (68, (1, 4, 17)),
        (4 * MIB // SECTOR_SIZE, (120, 4, 17)),
        (40 * MIB // SECTOR_SIZE, (963, 5, 17)),
        (1024 * 16 * 17 - 1, (1023, 16, 17)),
        (1024 * 16 * 17, (561, 16, 31)),
        (1024 * 16 * 31 - 1, (1023, 16, 31)),
        (1024 * 16 * 31, (503, 16, 63)),
        (LARGE - 1, (65534, 16, 63)),
        (LARGE, (16191, 16, 255)),
        (MAXIMUM - 1, (65534, 16, 255)),
        (MAXIMUM, (65535, 16, 255)),
        (MAXIMUM + 1, (65535, 16, 255)),
        (TIB // SECTOR_SIZE, (65535, 16, 255)),
    ],
)
def test_geometry_at_the_boundaries(sectors: int, expected: tuple[int, int, int]) -> None:
    assert geometry_for(sectors * SECTOR_SIZE) == Geometry(*expected)


def test_the_large_branch_begins_at_the_limit_itself_where_qemu_begins_after_it() -> None:
    # The specification compares with >=, qemu with >: at exactly 65535*16*63 they differ.
    assert geometry_for(LARGE * SECTOR_SIZE).sectors_per_track == 255
    assert geometry_for((LARGE - 1) * SECTOR_SIZE).sectors_per_track == 63


def test_the_maximum_says_nothing_of_the_size() -> None:
    assert geometry_for(128 * GIB).is_maximum
    assert not geometry_for(127 * GIB).is_maximum
    assert geometry_for(2 * TIB).size == MAXIMUM * SECTOR_SIZE


@given(st.integers(min_value=68, max_value=MAXIMUM))
def test_geometry_fits_its_fields_and_never_exceeds_the_disk(sectors: int) -> None:
    geometry = geometry_for(sectors * SECTOR_SIZE)
    assert 0 < geometry.cylinders <= 65535
    assert 4 <= geometry.heads <= 16
    assert geometry.sectors_per_track in (17, 31, 63, 255)
    cylinder = geometry.heads * geometry.sectors_per_track * SECTOR_SIZE
    assert 0 <= sectors * SECTOR_SIZE - geometry.size < cylinder


@pytest.mark.parametrize("mib", [3, 40, 130, 136, 250, 1024, 16384, 100 * 1024])
def test_qemu_rounds_up_to_a_geometry_that_we_compute_the_same(tmp_path: Path, mib: int) -> None:
    """Without force_size qemu writes a size that is a geometry's own: a fixed point of ours."""
    if shutil.which("qemu-img") is None:
        pytest.skip("qemu-img is not installed")
    path = tmp_path / "disk.vhd"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "vpc", "-o", "subformat=dynamic", path, f"{mib}M"],
        check=True,
    )
    footer = Footer.parse(path.read_bytes()[-512:])
    assert footer.current_size == footer.geometry.size >= mib * MIB
    assert geometry_for(footer.current_size).size == footer.current_size
