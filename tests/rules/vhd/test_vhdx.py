"""The structures of a VHDX."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from tests.builders import (
    DISK_ID,
    MIB,
    VHDX_BAT,
    VHDX_HEADERS,
    VHDX_METADATA,
    VHDX_REGION_TABLES,
    log_entry,
    patch,
    pattern,
    write_vhdx,
)
from tests.rules.disks import fixed, hit, hits
from vhdtool.rules.model import FileLocation, Severity

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 4 * MIB
GUID = uuid.UUID(int=0xD1E7)


def test_vhd040_hits_a_log_that_can_be_replayed(tmp_path: Path) -> None:
    log = log_entry(GUID, {VHDX_BAT: bytes(4096)}, flushed=5 * MIB, last=5 * MIB)
    path = write_vhdx(tmp_path / "a.vhdx", SIZE, {0: pattern(512)}, log_guid=GUID, log=log).path
    found = hit(path, "VHD040")
    assert found.hit.message == "the log is not empty (entries to replay: 1), expected an empty one"
    assert found.hit.location == FileLocation(VHDX_HEADERS[1] + 48, 16)
    assert found.hit.evidence == GUID.bytes_le
    assert found.severity is Severity.ERROR


def test_vhd040_hits_a_log_that_cannot(tmp_path: Path) -> None:
    path = write_vhdx(tmp_path / "a.vhdx", SIZE, {0: pattern(512)}, log_guid=GUID).path
    assert "(it cannot be replayed)" in hit(path, "VHD040").hit.message


def test_vhd040_passes_an_empty_log(tmp_path: Path) -> None:
    assert hits(write_vhdx(tmp_path / "a.vhdx", SIZE).path, "VHD040") == []


def test_vhd041_hits_a_differencing_disk(tmp_path: Path) -> None:
    locator = {"parent_linkage": "{" + str(DISK_ID) + "}", "relative_path": ".\\base.vhdx"}
    path = write_vhdx(tmp_path / "child.vhdx", SIZE, parent=locator).path
    assert hit(path, "VHD041").hit.message == (
        "the VHDX is a differencing disk (HasParent is 1), expected one without a parent"
    )


def test_vhd041_passes_a_disk_without_a_parent(tmp_path: Path) -> None:
    assert hits(write_vhdx(tmp_path / "a.vhdx", SIZE).path, "VHD041") == []


def test_vhd042_hits_one_damaged_copy_mildly(tmp_path: Path) -> None:
    for place in (*VHDX_HEADERS, *VHDX_REGION_TABLES):
        path = write_vhdx(tmp_path / "a.vhdx", SIZE).path
        patch(path, place + 16, b"\xff\xff")
        found = hit(path, "VHD042")
        assert "expected" in found.hit.message
        assert isinstance(found.hit.location, FileLocation)
        assert place <= found.hit.location.offset < place + 4096
        assert found.severity is Severity.WARNING


def test_vhd042_hits_what_makes_the_file_unreadable(tmp_path: Path) -> None:
    path = write_vhdx(tmp_path / "a.vhdx", SIZE).path
    patch(path, VHDX_METADATA, b"damaged!")
    found = hit(path, "VHD042")
    assert found.severity is Severity.ERROR
    assert "damaged!" in found.hit.message


def test_vhd042_passes_sound_structures(tmp_path: Path) -> None:
    assert hits(write_vhdx(tmp_path / "a.vhdx", SIZE, {0: pattern(512)}).path, "VHD042") == []
    assert hits(fixed(tmp_path), "VHD042") == []
