"""The size of the virtual disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.builders import GIB, MIB, write_vhd
from tests.rules.disks import SIZE, fixed, hit, hits
from vhdtool.rules.model import FileLocation, Severity

if TYPE_CHECKING:
    from pathlib import Path


def test_vhd007_hits_a_size_past_a_whole_mib(tmp_path: Path) -> None:
    size = 41953280
    found = hit(fixed(tmp_path, size=size), "VHD007")
    assert found.hit.message == (
        "virtual size is 41953280 bytes (40.0098 MiB): 10240 bytes past a whole MiB; next valid"
        " size 42991616 bytes (41 MiB)"
    )
    assert found.hit.location == FileLocation(size + 48, 8)
    assert found.hit.evidence == size.to_bytes(8, "big")


def test_vhd007_passes_whole_mib(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path, size=41 * MIB), "VHD007") == []


def test_vhd018_hits_a_resized_disk(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, original_size=SIZE - MIB), "VHD018")
    assert found.hit.message == (
        "original size is 66060288 bytes (63 MiB), expected the current size 67108864 bytes (64"
        " MiB)"
    )
    assert found.hit.location == FileLocation(SIZE + 40, 8)
    assert found.severity is Severity.INFO


def test_vhd018_passes_equal_sizes(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path), "VHD018") == []


def test_vhd035_hits_2041_gib(tmp_path: Path) -> None:
    layout = write_vhd(tmp_path / "disk.vhd", 2041 * GIB)
    found = hit(layout.path, "VHD035")
    assert found.hit.message == (
        "virtual size is 2191507062784 bytes (1.99316 TiB), expected at most 2190433320960 bytes"
        " (1.99219 TiB)"
    )
    assert found.hit.location == FileLocation(layout.footer_offset + 48, 8)
    assert found.severity is Severity.WARNING


def test_vhd035_passes_2040_gib(tmp_path: Path) -> None:
    assert hits(write_vhd(tmp_path / "disk.vhd", 2040 * GIB).path, "VHD035") == []


def test_vhd036_hits_less_than_20_mib(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, size=19 * MIB), "VHD036")
    assert found.hit.message == (
        "virtual size is 19922944 bytes (19 MiB), expected at least 20971520 bytes (20 MiB)"
    )
    assert found.hit.location == FileLocation(19 * MIB + 48, 8)


def test_vhd036_passes_20_mib(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path, size=20 * MIB), "VHD036") == []
