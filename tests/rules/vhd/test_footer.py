"""The fields of the footer."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.builders import SECTOR, TIMESTAMP, footer, patch, write_vhd
from tests.rules.disks import SIZE, fixed, hit, hits
from vhdtool.rules.model import FileLocation, Severity

if TYPE_CHECKING:
    from pathlib import Path

AN_HOUR, A_DAY = 3600, 86400
NOW = datetime.fromtimestamp(946684800 + TIMESTAMP, UTC)


def test_vhd009_hits_a_wrong_checksum(tmp_path: Path) -> None:
    path = fixed(tmp_path)
    right = int.from_bytes(footer(SIZE)[64:68], "big")
    patch(path, SIZE + 64, b"\1\2\3\4")
    found = hit(path, "VHD009")
    assert found.hit.message == f"checksum is 0x01020304, expected {right:#010x}"
    assert found.hit.location == FileLocation(SIZE + 64, 4)
    assert found.hit.evidence == b"\1\2\3\4"


def test_vhd009_passes_a_right_checksum(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path), "VHD009") == []


def test_vhd009_passes_old_xenserver_images_hidden_without_a_new_checksum(tmp_path: Path) -> None:
    path = fixed(tmp_path, creator=b"tap\0", creator_version=0x00010001)
    patch(path, SIZE + 85, b"\1")
    assert hits(path, "VHD009") == []
    path = fixed(tmp_path, creator=b"win ", creator_version=0x00010001)
    patch(path, SIZE + 85, b"\1")
    assert hits(path, "VHD009")


def test_vhd010_hits_another_version(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, version=0x00020000), "VHD010")
    assert found.hit.message == "format version is 0x00020000, expected 0x00010000"
    assert found.hit.location == FileLocation(SIZE + 12, 4)


def test_vhd010_passes_version_1(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path), "VHD010") == []


@pytest.mark.parametrize(
    ("features", "text"),
    [
        (3, "features are 0x00000003 (temporary disk), expected 0x00000002"),
        (0, "features are 0x00000000, expected 0x00000002"),
        (6, "features are 0x00000006, expected 0x00000002"),
    ],
)
def test_vhd011_hits_other_bits(tmp_path: Path, features: int, text: str) -> None:
    found = hit(fixed(tmp_path, features=features), "VHD011")
    assert found.hit.message == text
    assert found.hit.location == FileLocation(SIZE + 8, 4)
    assert found.severity is Severity.WARNING


def test_vhd011_passes_the_reserved_bit(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path), "VHD011") == []


def test_vhd012_hits_an_offset_in_a_fixed_disk(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, data_offset=512), "VHD012")
    assert found.hit.message == "data offset is 0x200, expected 0xffffffffffffffff in a fixed disk"
    assert found.hit.location == FileLocation(SIZE + 16, 8)


def test_vhd012_passes_all_ones_of_either_width(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path), "VHD012") == []
    assert hits(fixed(tmp_path, data_offset=0xFFFFFFFF), "VHD012") == []
    assert hits(write_vhd(tmp_path / "dynamic.vhd", SIZE).path, "VHD012") == []


def test_vhd019_hits_a_saved_state(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, saved_state=1), "VHD019")
    assert found.hit.message == "saved state is 1, expected 0"
    assert found.hit.location == FileLocation(SIZE + 84, 1)


def test_vhd019_passes_zero(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path), "VHD019") == []


def test_vhd020_hits_a_hidden_xenserver_image(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, creator=b"tap\0", reserved=b"\1"), "VHD020")
    assert found.hit.message == "the hidden byte of a XenServer image is 1, expected 0"
    assert found.hit.location == FileLocation(SIZE + 85, 1)


def test_vhd020_passes_visible_images_and_other_creators(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path, creator=b"tap\0"), "VHD020") == []
    assert hits(fixed(tmp_path, creator=b"win ", reserved=b"\1"), "VHD020") == []


def test_vhd021_hits_reserved_bytes(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, reserved=bytes(10) + b"mark"), "VHD021")
    assert found.hit.message == "4 reserved bytes are not zero, expected none"
    assert found.hit.location == FileLocation(SIZE + 95, 16)
    assert found.hit.evidence == b"mark".ljust(16, b"\0")


def test_vhd021_hits_the_last_byte(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, reserved=bytes(426) + b"x"), "VHD021")
    assert found.hit.message == "1 reserved byte is not zero, expected none"
    assert found.hit.location == FileLocation(SIZE + 511, 1)


def test_vhd021_passes_zeros_and_the_hidden_byte_of_xenserver(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path), "VHD021") == []
    assert hits(fixed(tmp_path, creator=b"tap\0", reserved=b"\1"), "VHD021") == []


def test_vhd022_hits_a_null_id(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, unique_id=uuid.UUID(int=0)), "VHD022")
    assert found.hit.message == "the unique ID is all zeros, expected a UUID"
    assert found.hit.location == FileLocation(SIZE + 68, 16)


def test_vhd022_passes_any_id(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path), "VHD022") == []


def test_vhd023_hits_a_time_two_days_ahead(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, timestamp=TIMESTAMP + 2 * A_DAY), "VHD023", now=NOW)
    assert found.hit.message == ("time stamp is 2022-03-09T20:26:40Z, expected a time in the past")
    assert found.hit.location == FileLocation(SIZE + 24, 4)


def test_vhd023_passes_clocks_that_are_a_little_ahead(tmp_path: Path) -> None:
    assert hits(fixed(tmp_path, timestamp=TIMESTAMP + AN_HOUR), "VHD023", now=NOW) == []
    assert hits(fixed(tmp_path, timestamp=0), "VHD023", now=NOW) == []


def test_vhd027_hits_a_copy_of_another_time(tmp_path: Path) -> None:
    other = footer(SIZE, disk_type=3, data_offset=512, timestamp=TIMESTAMP + 1)
    found = hit(write_vhd(tmp_path / "disk.vhd", SIZE, copy=other).path, "VHD027")
    assert found.hit.message == "the copy of the footer differs from it in 2 bytes, expected none"
    assert found.hit.location == FileLocation(27, 8)
    assert found.severity is Severity.WARNING


def test_vhd027_hits_a_missing_copy(tmp_path: Path) -> None:
    found = hit(write_vhd(tmp_path / "disk.vhd", SIZE, copy=bytes(SECTOR)).path, "VHD027")
    assert found.hit.message == "there is no copy of the footer at offset 0, expected one"
    assert found.hit.location == FileLocation(0, SECTOR)


def test_vhd027_passes_equal_copies_and_fixed_disks(tmp_path: Path) -> None:
    assert hits(write_vhd(tmp_path / "dynamic.vhd", SIZE).path, "VHD027") == []
    assert hits(fixed(tmp_path), "VHD027") == []
