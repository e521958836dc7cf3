"""The parent of a differencing disk."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

from tests.builders import (
    MIB,
    TIMESTAMP,
    VhdParent,
    pattern,
    relative_locator,
    write_vhd,
    write_vhdx,
)
from tests.rules.disks import hit, hits
from vhdtool.rules.model import FileLocation, Severity

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 4 * MIB
EPOCH = 946684800


def family(folder: Path, *, parent_id: uuid.UUID | None = None) -> Path:
    """Write a parent that is as old as its child has it, and return the child."""
    base = write_vhd(folder / "base.vhd", SIZE, {0: pattern(512)}).path
    os.utime(base, (EPOCH + TIMESTAMP, EPOCH + TIMESTAMP))
    parent = VhdParent(locators=relative_locator(".\\base.vhd"))
    if parent_id is not None:
        parent.unique_id = parent_id
    return write_vhd(folder / "child.vhd", SIZE, parent=parent).path


def test_vhd033_hits_a_missing_parent(tmp_path: Path) -> None:
    child = family(tmp_path)
    (tmp_path / "base.vhd").unlink()
    found = hit(child, "VHD033")
    assert found.hit.message.startswith("the parent cannot be used: parent '.\\base.vhd'")
    assert str(tmp_path / "base.vhd") in found.hit.message
    assert found.hit.location == FileLocation(552, 16)
    assert found.severity is Severity.ERROR


def test_vhd033_hits_another_disk(tmp_path: Path) -> None:
    other = uuid.UUID(int=7)
    message = hit(family(tmp_path, parent_id=other), "VHD033").hit.message
    assert message.startswith("the parent cannot be used: ")
    assert str(other) in message


def test_vhd033_hits_another_time_mildly(tmp_path: Path) -> None:
    child = family(tmp_path)
    os.utime(tmp_path / "base.vhd", (EPOCH + 1234, EPOCH + 1234))
    found = hit(child, "VHD033")
    assert found.hit.message == (
        "the parent was last changed 1234 seconds after 2000-01-01, expected 700000000 as the"
        " child has it"
    )
    assert found.hit.location == FileLocation(568, 4)
    assert found.severity is Severity.WARNING


def test_vhd033_hits_the_missing_parent_of_a_vhdx(tmp_path: Path) -> None:
    locator = {"parent_linkage": "{" + str(uuid.UUID(int=1)) + "}", "relative_path": "base.vhdx"}
    path = write_vhdx(tmp_path / "child.vhdx", SIZE, parent=locator).path
    assert "base.vhdx" in hit(path, "VHD033").hit.message


def test_vhd033_passes_the_recorded_parent(tmp_path: Path) -> None:
    assert hits(family(tmp_path), "VHD033") == []


def test_vhd033_passes_disks_without_a_parent(tmp_path: Path) -> None:
    assert hits(write_vhd(tmp_path / "disk.vhd", SIZE).path, "VHD033") == []
    assert hits(write_vhdx(tmp_path / "disk.vhdx", SIZE).path, "VHD033") == []
