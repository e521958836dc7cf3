"""What "How to fix" promises of convert and repair is so."""

from __future__ import annotations

import gzip
import uuid
from typing import TYPE_CHECKING, Any

import pytest

import vhdtool
from tests.builders import (
    ESP_GUID,
    LINUX_GUID,
    MIB,
    SECTOR,
    VhdParent,
    append,
    flatten,
    footer,
    log_entry,
    patch,
    relative_locator,
    write_fixed_vhd,
    write_vhd,
    write_vhdx,
)
from tests.rules.disks import SIZE, Part, ext4, fat32, fixed, gpt, hits
from vhdtool.disk import repair
from vhdtool.disk.convert import convert, convert_in_place
from vhdtool.rules.registry import rules

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PIECES = gpt([Part(ESP_GUID, 1, 8, fat32()), Part(LINUX_GUID, 9, 40, ext4())])
FUTURE = 0xFFFFFFFF


def with_footer(**fields: Any) -> Callable[[Path], Path]:
    return lambda folder: fixed(folder, PIECES, **fields)


def raw(folder: Path) -> Path:
    path = folder / "disk.raw"
    path.write_bytes(flatten(SIZE, PIECES))
    return path


def dynamic(folder: Path, **options: Any) -> Path:
    return write_vhd(folder / "disk.vhd", SIZE, PIECES, **options).path


def child(folder: Path) -> Path:
    write_vhd(folder / "base.vhd", SIZE, PIECES)
    parent = VhdParent(locators=relative_locator("base.vhd"))
    return write_vhd(folder / "child.vhd", SIZE, parent=parent).path


def small(folder: Path) -> Path:
    return fixed(folder, {0: ext4()}, size=19 * MIB)


def packed(folder: Path) -> Path:
    path = folder / "disk.raw.gz"
    path.write_bytes(gzip.compress(flatten(SIZE, PIECES), 1))
    return path


def dirty(folder: Path) -> Path:
    guid = uuid.UUID(int=7)
    log = log_entry(guid, {3 * MIB + 4096: bytes(4096)}, flushed=8 * MIB, last=8 * MIB)
    return write_vhdx(folder / "disk.vhdx", SIZE, PIECES, log_guid=guid, log=log).path


def vhdx(folder: Path) -> Path:
    return write_vhdx(folder / "disk.vhdx", SIZE, PIECES).path


def damaged_copy(folder: Path) -> Path:
    path = dynamic(folder)
    patch(path, 24, b"\1\2\3\4")
    return path


def without_end(folder: Path) -> Path:
    return dynamic(folder, tail=bytes(SECTOR))


def with_tail(folder: Path) -> Path:
    path = fixed(folder, PIECES)
    append(path, bytes(100))
    return path


def legacy(folder: Path) -> Path:
    return write_fixed_vhd(folder / "disk.vhd", SIZE, PIECES, footer(SIZE)[:511])


def odd(folder: Path) -> Path:
    return fixed(folder, PIECES, size=SIZE + SECTOR)


def wrong_checksum(folder: Path) -> Path:
    path = fixed(folder, PIECES)
    patch(path, SIZE + 64, bytes(4))
    return path


def wrong_header_checksum(folder: Path) -> Path:
    path = dynamic(folder)
    patch(path, SECTOR + 36, bytes(4))
    return path


def grown(folder: Path) -> Path:
    return fixed(folder, PIECES, size=SIZE + MIB)


def codes(path: Path) -> set[str]:
    """Return the rules with findings, without the two that miss a system on disks without one."""
    report = vhdtool.check(path, ignore=["DSK144", "GEN201"])
    return {found.rule.code for found in report.findings}


@pytest.mark.parametrize(
    ("code", "make"),
    [
        ("VHD001", raw),
        ("VHD003", dynamic),
        ("VHD004", child),
        ("VHD005", vhdx),
        ("VHD007", odd),
        ("VHD010", with_footer(version=0x00020000)),
        ("VHD011", with_footer(features=3)),
        ("VHD012", with_footer(data_offset=512)),
        ("VHD014", with_footer(creator=b"vpc ", geometry=(100, 16, 63))),
        ("VHD015", with_footer(geometry=(200, 16, 63))),
        ("VHD016", with_footer(geometry=(0, 0, 0))),
        ("VHD018", with_footer(original_size=MIB)),
        ("VHD021", with_footer(reserved=b"\1")),
        ("VHD022", with_footer(unique_id=uuid.UUID(int=0))),
        ("VHD023", with_footer(timestamp=FUTURE)),
        ("VHD024", legacy),
        ("VHD026", with_footer(host=b"Lnux")),
        ("VHD027", damaged_copy),
        ("VHD036", small),
        ("VHD038", packed),
        ("VHD040", dirty),
        ("DSK112", odd),
    ],
)
def test_convert_does_what_the_rule_says(
    tmp_path: Path, code: str, make: Callable[[Path], Path]
) -> None:
    assert "vhdtool convert" in rules()[code].documentation.fix or code == "DSK112"
    source = make(tmp_path)
    assert hits(source, code)
    target = tmp_path / "fixed.vhd"
    convert(source, target, align=20 * MIB if code == "VHD036" else None)
    assert codes(target) == set()


@pytest.mark.parametrize(
    ("code", "make"),
    [
        ("VHD001", without_end),
        ("VHD002", with_tail),
        ("VHD007", odd),
        ("VHD009", wrong_checksum),
        ("VHD024", legacy),
        ("VHD027", damaged_copy),
        ("VHD028", wrong_header_checksum),
        ("DSK112", grown),
    ],
)
def test_repair_does_what_the_rule_says(
    tmp_path: Path, code: str, make: Callable[[Path], Path]
) -> None:
    assert "vhdtool repair" in rules()[code].documentation.fix
    path = make(tmp_path)
    assert hits(path, code)
    repair.apply(repair.plan(path))
    assert hits(path, code) == []
    # It stays dynamic, and a disk that was grown says so.
    left = codes(path)
    assert left <= {"VHD003", "VHD018"}


def test_a_raw_disk_is_wrapped_in_place(tmp_path: Path) -> None:
    path = raw(tmp_path)
    convert_in_place(path)
    assert hits(path.rename(tmp_path / "disk.vhd"), "VHD001") == []
