"""Where the footer is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.builders import MIB, SECTOR, append, footer, pattern, write_fixed_vhd, write_vhd
from tests.rules.disks import SIZE, fixed, hit, hits
from vhdtool.rules.model import FileLocation, Severity

if TYPE_CHECKING:
    from pathlib import Path


def test_vhd001_hits_a_raw_disk(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(MIB - SECTOR) + pattern(SECTOR))
    found = hit(path, "VHD001")
    expected = "the file does not end with a VHD footer, expected the cookie conectix"
    assert found.hit.message == expected
    assert found.hit.location == FileLocation(MIB - SECTOR, SECTOR)
    assert found.hit.evidence == pattern(8)
    assert found.severity is Severity.ERROR


def test_vhd001_hits_a_dynamic_disk_with_the_copy_only(tmp_path: Path) -> None:
    layout = write_vhd(tmp_path / "disk.vhd", SIZE, {0: pattern(SECTOR)}, tail=bytes(SECTOR))
    assert "a copy of it is at offset 0x0" in hit(layout.path, "VHD001").hit.message


def test_vhd001_hits_a_tiny_file(tmp_path: Path) -> None:
    path = tmp_path / "disk.vhd"
    path.write_bytes(b"x")
    assert hit(path, "VHD001").hit.location == FileLocation(0, 1)


def test_vhd001_passes_footers_and_other_containers(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path), "VHD001") == []
    append(tmp_path / "disk.vhd", bytes(100))
    assert hits(tmp_path / "disk.vhd", "VHD001") == []
    other = tmp_path / "disk.qcow2"
    other.write_bytes(b"QFI\xfb".ljust(4096, b"\0"))
    assert hits(other, "VHD001") == []


def test_vhd002_hits_bytes_after_the_footer(tmp_path: Path) -> None:
    path = fixed(tmp_path)
    append(path, bytes(MIB - SECTOR))
    found = hit(path, "VHD002")
    assert found.hit.message == (
        f"1048064 bytes follow the footer, expected none: it is at offset {SIZE:#x} of a file of"
        f" {SIZE + MIB} bytes"
    )
    assert found.hit.location == FileLocation(SIZE + SECTOR, MIB - SECTOR)


def test_vhd002_hits_a_single_byte(tmp_path: Path) -> None:
    path = fixed(tmp_path)
    append(path, b"\n")
    assert hit(path, "VHD002").hit.message.startswith("1 byte follows the footer, expected none")


def test_vhd002_passes_footers_at_the_end(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path), "VHD002") == []
    assert hits(write_vhd(tmp_path / "dynamic.vhd", SIZE).path, "VHD002") == []


def test_vhd008_hits_a_file_that_is_too_short(tmp_path: Path) -> None:
    path = write_fixed_vhd(tmp_path / "disk.vhd", SIZE - MIB, tail=footer(SIZE))
    found = hit(path, "VHD008")
    assert found.hit.message == (
        f"{SIZE - MIB} bytes precede the footer, 1048576 bytes short of the virtual size of"
        f" {SIZE} bytes"
    )
    assert found.hit.location == FileLocation(SIZE - MIB + 48, 8)
    assert found.hit.evidence == SIZE.to_bytes(8, "big")


def test_vhd008_hits_a_file_that_is_too_long(tmp_path: Path) -> None:
    path = write_fixed_vhd(tmp_path / "disk.vhd", SIZE + SECTOR, tail=footer(SIZE))
    assert "512 bytes past the virtual size" in hit(path, "VHD008").hit.message


def test_vhd008_passes_the_size_and_a_footer(tmp_path: Path) -> None:
    path = fixed(tmp_path)
    assert hits(path, "VHD008") == []
    append(path, bytes(SECTOR))
    assert hits(path, "VHD008") == []
    assert hits(write_vhd(tmp_path / "dynamic.vhd", SIZE).path, "VHD008") == []


def test_vhd024_hits_a_footer_of_511_bytes(tmp_path: Path) -> None:
    path = write_fixed_vhd(tmp_path / "disk.vhd", SIZE, tail=footer(SIZE)[:511])
    found = hit(path, "VHD024")
    assert found.hit.message == "the footer is 511 bytes long, expected 512"
    assert found.hit.location == FileLocation(SIZE, 8)
    assert hits(path, "VHD008") == []


def test_vhd024_passes_a_footer_of_512_bytes(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path), "VHD024") == []


def test_vhd045_hits_a_vhd_inside_a_vhd(tmp_path: Path) -> None:
    path = fixed(tmp_path)
    append(path, footer(SIZE + SECTOR))
    found = hit(path, "VHD045")
    expected = f"the disk's data ends with another VHD footer, at offset {SIZE:#x}, expected none"
    assert found.hit.message == expected
    assert found.hit.location == FileLocation(SIZE, SECTOR)


def test_vhd045_passes_one_footer_and_a_vhd_among_the_data(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path, {MIB: footer(MIB)}), "VHD045") == []
