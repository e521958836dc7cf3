"""Cylinders, heads and sectors against the size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.builders import MIB
from tests.rules.disks import SIZE, fixed, hit, hits
from vhdtool.rules.model import FileLocation, Severity

if TYPE_CHECKING:
    from pathlib import Path

SMALLER = (100, 16, 63)
LARGER = (200, 16, 63)
MAXIMUM = (65535, 16, 255)


@pytest.mark.parametrize("creator", [b"vpc ", b"vs  ", b"qemu"])
def test_vhd014_hits_creators_whose_geometry_is_believed(tmp_path: Path, creator: bytes) -> None:
    found = hit(fixed(tmp_path, creator=creator, geometry=SMALLER), "VHD014")
    assert found.hit.message == (
        "geometry 100/16/63 makes 51609600 bytes (49.2188 MiB), current size is 67108864 bytes"
        f" (64 MiB); readers of images made by {creator.decode().strip()} differ in which to take"
    )
    assert found.hit.location == FileLocation(SIZE + 56, 4)
    assert found.hit.evidence == bytes([0, 100, 16, 63])
    assert found.severity is Severity.WARNING


@pytest.mark.parametrize("creator", [b"win ", b"qem2", b"d2v ", b"vbox", b"wa\0\0", b"tap\0"])
def test_vhd014_passes_creators_whose_size_is_taken(tmp_path: Path, creator: bytes) -> None:
    assert hits(fixed(tmp_path, creator=creator, geometry=SMALLER), "VHD014") == []


@pytest.mark.parametrize("geometry", [MAXIMUM, (0, 0, 0), (128, 16, 64)])
def test_vhd014_passes_geometries_that_agree_or_say_nothing(
    tmp_path: Path, geometry: tuple[int, int, int]
) -> None:
    assert hits(fixed(tmp_path, creator=b"qemu", geometry=geometry), "VHD014") == []


def test_vhd015_hits_a_geometry_past_the_end(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, geometry=LARGER), "VHD015")
    assert found.hit.message == (
        "geometry 200/16/63 makes 103219200 bytes (98.4375 MiB), current size is 67108864 bytes"
        " (64 MiB)"
    )
    assert found.hit.location == FileLocation(SIZE + 56, 4)


def test_vhd015_passes_smaller_and_largest_geometries(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path, geometry=SMALLER), "VHD015") == []
    assert hits(fixed(tmp_path, geometry=MAXIMUM), "VHD015") == []


def test_vhd015_passes_what_vhd014_tells(tmp_path: Path) -> None:
    path = fixed(tmp_path, creator=b"vpc ", geometry=LARGER)
    assert hits(path, "VHD015") == []
    assert hits(path, "VHD014")


def test_vhd016_hits_zeros(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, creator=bytes(4), geometry=(0, 0, 0)), "VHD016")
    assert found.hit.message == "geometry is 0/0/0, expected one of the disk's size"
    assert found.hit.location == FileLocation(SIZE + 56, 4)
    assert found.severity is Severity.INFO


def test_vhd016_passes_any_other_geometry(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path, geometry=SMALLER), "VHD016") == []


def test_vhd017_hits_a_size_rounded_by_qemu(tmp_path: Path) -> None:
    size = 41953280
    found = hit(fixed(tmp_path, size=size, creator=b"qemu", geometry=(964, 5, 17)), "VHD017")
    assert found.hit.message == (
        "made by qemu-img without force_size, which rounds sizes: virtual size is 41953280 bytes"
        " (40.0098 MiB), expected whole MiB"
    )
    assert found.hit.location == FileLocation(size + 28, 4)
    assert found.hit.evidence == b"qemu"


def test_vhd017_passes_whole_mib_and_other_creators(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path, creator=b"qemu"), "VHD017") == []
    assert hits(fixed(tmp_path, size=SIZE + 512, creator=b"qem2"), "VHD017") == []
    assert hits(fixed(tmp_path, size=MIB, creator=b"win "), "VHD017") == []
