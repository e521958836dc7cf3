"""What kind of container the file is."""

from __future__ import annotations

import bz2
import gzip
import lzma
from typing import TYPE_CHECKING

import pytest

from tests.builders import (
    ESP_GUID,
    KIB,
    LINUX_GUID,
    MIB,
    VhdParent,
    flatten,
    relative_locator,
    write_vhd,
    write_vhdx,
)
from tests.rules.disks import SIZE, Part, ext4, fat32, fixed, gpt, hit, hits
from vhdtool.rules.model import FileLocation, Severity

if TYPE_CHECKING:
    from pathlib import Path

SYSTEM = [Part(ESP_GUID, 1, 8, fat32()), Part(LINUX_GUID, 9, 40, ext4())]
ISO = flatten(64 * KIB, {32768: b"\x01CD001", 32848: (32).to_bytes(4, "little")})


def test_vhd003_hits_a_dynamic_disk(tmp_path: Path) -> None:
    layout = write_vhd(tmp_path / "disk.vhd", SIZE)
    found = hit(layout.path, "VHD003")
    assert found.hit.message == "disk type is 3 (dynamic), expected 2 (fixed)"
    assert found.hit.location == FileLocation(layout.footer_offset + 60, 4)
    assert found.hit.evidence == b"\0\0\0\3"


def test_vhd003_passes_a_fixed_disk(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path), "VHD003") == []


def test_vhd004_hits_a_child_with_or_without_its_parent(tmp_path: Path) -> None:
    parent = VhdParent(locators=relative_locator("base.vhd"))
    path = write_vhd(tmp_path / "child.vhd", SIZE, parent=parent).path
    found = hit(path, "VHD004")
    assert found.hit.message == "disk type is 4 (differencing), expected 2 (fixed)"
    assert found.hit.evidence == b"\0\0\0\4"
    write_vhd(tmp_path / "base.vhd", SIZE)
    assert hit(path, "VHD004").hit == found.hit


def test_vhd004_passes_a_dynamic_disk(tmp_path: Path) -> None:
    assert hits(write_vhd(tmp_path / "disk.vhd", SIZE).path, "VHD004") == []


def test_vhd005_hits_a_vhdx_under_any_name(tmp_path: Path) -> None:
    found = hit(write_vhdx(tmp_path / "disk.vhd", SIZE).path, "VHD005")
    assert found.hit.message == "the file is a VHDX, expected a fixed VHD"
    assert found.hit.location == FileLocation(0, 8)


def test_vhd005_hits_an_os_disk_of_4096_byte_sectors(tmp_path: Path) -> None:
    pieces = gpt(SYSTEM, sector_size=4096)
    path = write_vhdx(tmp_path / "disk.vhdx", SIZE, pieces, sector_size=4096).path
    found = hit(path, "VHD005")
    assert found.hit.message == (
        "a system boots from this VHDX with 4096-byte sectors, expected a fixed VHD"
    )
    assert hits(path, "VHD006") == []


def test_vhd005_passes_a_vhd_and_a_data_disk_of_4096_byte_sectors(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path), "VHD005") == []
    path = write_vhdx(tmp_path / "disk.vhdx", SIZE, sector_size=4096).path
    assert hits(path, "VHD005") == []


def test_vhd006_hits_a_data_disk_of_4096_byte_sectors(tmp_path: Path) -> None:
    pieces = gpt([Part(LINUX_GUID, 1, 40, ext4())], sector_size=4096)
    path = write_vhdx(tmp_path / "disk.vhdx", SIZE, pieces, sector_size=4096).path
    found = hit(path, "VHD006")
    assert found.hit.message == (
        "the VHDX has 4096-byte sectors: it fits Ultra Disk and Premium SSD v2 only"
    )
    assert found.severity is Severity.INFO


def test_vhd006_passes_a_vhdx_of_512_byte_sectors(tmp_path: Path) -> None:
    assert hits(write_vhdx(tmp_path / "disk.vhdx", SIZE).path, "VHD006") == []


@pytest.mark.parametrize("kind", [0, 1, 5, 6, 7])
def test_vhd013_hits_types_that_are_not_in_use(tmp_path: Path, kind: int) -> None:
    found = hit(fixed(tmp_path, disk_type=kind), "VHD013")
    assert found.hit.message == (
        f"disk type is {kind}, expected 2 (fixed), 3 (dynamic) or 4 (differencing)"
    )
    assert found.hit.location == FileLocation(SIZE + 60, 4)
    assert found.hit.evidence == bytes([0, 0, 0, kind])


def test_vhd013_passes_the_types_in_use(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path), "VHD013") == []
    assert hits(write_vhd(tmp_path / "dynamic.vhd", SIZE).path, "VHD013") == []


def test_vhd037_hits_another_name(tmp_path: Path) -> None:
    path = fixed(tmp_path).rename(tmp_path / "disk\n.img")
    found = hit(path, "VHD037")
    assert found.hit.message == "the file is named disk\\x0a.img, expected a name ending in .vhd"
    assert found.severity is Severity.WARNING


def test_vhd037_passes_any_case_and_files_that_are_no_vhd(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path).rename(tmp_path / "DISK.VHD"), "VHD037") == []
    assert hits(write_vhdx(tmp_path / "disk.vhdx", SIZE).path, "VHD037") == []


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"QFI\xfb\0\0\0\3", "qcow2"),
        (b"KDMV\1\0\0\0", "VMDK"),
        (b"# Disk DescriptorFile\nversion=1\n", "VMDK"),
        (b"<<< Oracle VM VirtualBox Disk Image >>>\n".ljust(64) + b"\x7f\x10\xda\xbe", "VDI"),
        (gzip.compress(bytes(100), mtime=0), "gzip"),
        (lzma.compress(bytes(100)), "xz"),
        (b"\x28\xb5\x2f\xfd\x04\x00", "zstd"),
        (bz2.compress(bytes(100)), "bzip2"),
        (b"PK\x03\x04\x14\0", "zip"),
        (ISO, "ISO 9660"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_vhd038_hits_other_containers(tmp_path: Path, data: bytes, name: str) -> None:
    path = tmp_path / "disk.vhd"
    path.write_bytes(data)
    found = hit(path, "VHD038")
    assert found.hit.message == f"the file's format is {name}, expected a fixed VHD"
    assert found.hit.location == FileLocation(0, 8)


def test_vhd038_passes_a_vhd_that_starts_like_another_container(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path, {0: b"QFI\xfb".ljust(512, b"\0")}), "VHD038") == []
    raw = tmp_path / "disk.raw"
    raw.write_bytes(bytes(MIB))
    assert hits(raw, "VHD038") == []
