"""`vhdtool info`: every structure, and damaged fields beside what they should be."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from tests.builders import (
    DISK_ID,
    LINUX_GUID,
    MIB,
    SECTOR,
    VhdParent,
    append,
    footer,
    gpt_pieces,
    mbr_pieces,
    patch,
    relative_locator,
    write_fixed_vhd,
    write_vhd,
    write_vhdx,
)
from vhdtool.formats.vhd import VHD_EPOCH

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

    Command = Callable[..., Outcome]

SIZE = 8 * MIB


def sections(vhdtool: Command, image: Path, status: int = 0) -> dict[str, Any]:
    done = vhdtool("info", "--format", "json", image)
    assert done.status == status, done.err
    answer = json.loads(done.out)
    assert answer["schema_version"] == 1
    text = vhdtool("info", image).out
    for section in answer["sections"]:
        assert section["title"] in text
    return {section["title"]: section for section in answer["sections"]}


def test_every_field_of_a_footer_is_shown(vhdtool: Command, tmp_path: Path) -> None:
    shown = sections(vhdtool, write_fixed_vhd(tmp_path / "disk.vhd", SIZE))
    assert shown["image"]["fields"]["format"] == "fixed VHD"
    assert shown["footer"]["offset"] == SIZE
    fields = shown["footer"]["fields"]
    assert fields["cookie"] == "conectix"
    assert fields["current_size"] == fields["original_size"] == SIZE
    assert fields["disk_type"] == 2
    assert fields["creator_application"] == "win "
    assert len(fields) == 16
    assert shown["footer"]["damaged"] == []


@pytest.mark.parametrize(
    ("offset", "value", "field", "expected"),
    [
        (12, b"\0\2\0\0", "version", "0x00010000"),
        (8, b"\0\0\0\0", "features", "0x00000002"),
        (16, bytes(8), "data_offset", "0xffffffffffffffff"),
        (84, b"\1", "saved_state", "0"),
        (200, b"x", "reserved", "zeros"),
    ],
)
def test_a_damaged_field_is_shown_with_the_expected_value(
    vhdtool: Command, tmp_path: Path, offset: int, value: bytes, field: str, expected: str
) -> None:
    image = write_fixed_vhd(tmp_path / "disk.vhd", SIZE)
    patch(image, SIZE + offset, value)
    shown = sections(vhdtool, image, status=3)
    damaged = {entry["field"]: entry["expected"] for entry in shown["footer"]["damaged"]}
    assert damaged[field] == expected
    assert "checksum" in damaged
    assert "expected 0x" in shown["image"]["fields"]["cannot_be_opened"]
    assert f"<- expected {expected}" in vhdtool("info", image).out


def test_a_dynamic_disk_shows_both_footers_its_header_and_table(
    vhdtool: Command, tmp_path: Path
) -> None:
    image = write_vhd(tmp_path / "disk.vhd", SIZE, {0: bytes(SECTOR)}).path
    shown = sections(vhdtool, image)
    assert shown["footer"]["fields"] == shown["footer copy"]["fields"]
    assert shown["dynamic header"]["fields"]["block_size"] == 2 * MIB
    assert shown["block allocation table"]["fields"]["allocated"] == 1


def test_footers_that_disagree_or_are_followed_by_bytes_are_told(
    vhdtool: Command, tmp_path: Path
) -> None:
    stale = footer(SIZE, disk_type=3, data_offset=512, timestamp=1)
    image = write_vhd(tmp_path / "disk.vhd", SIZE, {}, copy=stale).path
    append(image, bytes(100))
    shown = sections(vhdtool, image)
    assert shown["footer"]["problem"] == "100 bytes follow the footer"
    assert shown["footer copy"]["problem"] == "not the same as the footer"


def test_a_chain_shows_locators_parent_and_files(vhdtool: Command, tmp_path: Path) -> None:
    write_vhd(tmp_path / "base.vhd", SIZE, {})
    parent = VhdParent(locators=relative_locator(".\\base.vhd"))
    child = write_vhd(tmp_path / "child.vhd", SIZE, {}, parent=parent, unique_id=UUID(int=5)).path
    shown = sections(vhdtool, child)
    assert shown["parent locators"]["rows"][0]["code"] == "W2ru"
    assert shown["parent"]["fields"]["name_W2ru"] == ".\\base.vhd"
    assert [row["format"] for row in shown["chain"]["rows"]] == ["differencing VHD", "dynamic VHD"]


def test_a_parent_of_another_time_is_shown_with_the_expected_one(
    vhdtool: Command, tmp_path: Path
) -> None:
    base = write_vhd(tmp_path / "base.vhd", SIZE, {}).path
    os.utime(base, (VHD_EPOCH + 60,) * 2)
    parent = VhdParent(timestamp=0, locators=relative_locator("base.vhd"))
    child = write_vhd(tmp_path / "child.vhd", SIZE, {}, parent=parent, unique_id=UUID(int=5)).path
    shown = sections(vhdtool, child)["parent"]
    assert shown["fields"]["found_timestamp"] == 60
    assert [entry["field"] for entry in shown["damaged"]] == ["found_timestamp"]
    assert shown["damaged"][0]["expected"] == "2000-01-01T00:00:00+00:00"


def test_a_parent_known_by_the_second_identifier_is_right(vhdtool: Command, tmp_path: Path) -> None:
    write_vhdx(tmp_path / "base.vhdx", SIZE, {})
    locator = {
        "parent_linkage": f"{{{UUID(int=7)}}}",
        "parent_linkage2": f"{{{DISK_ID}}}",
        "relative_path": "base.vhdx",
    }
    child = write_vhdx(tmp_path / "child.vhdx", SIZE, {}, parent=locator).path
    assert sections(vhdtool, child)["parent"]["damaged"] == []


def test_a_missing_parent_is_told_with_where_it_was_looked_for(
    vhdtool: Command, tmp_path: Path
) -> None:
    parent = VhdParent(locators=relative_locator(".\\gone.vhd"))
    child = write_vhd(tmp_path / "child.vhd", SIZE, {}, parent=parent).path
    shown = sections(vhdtool, child, status=3)
    assert shown["parent"]["problem"]
    assert "gone.vhd" in vhdtool("info", child).out


def test_a_vhdx_shows_headers_regions_and_metadata(vhdtool: Command, tmp_path: Path) -> None:
    image = write_vhdx(tmp_path / "disk.vhdx", SIZE, {}).path
    shown = sections(vhdtool, image)
    assert shown["VHDX metadata and log"]["fields"]["virtual_disk_size"] == SIZE
    assert any(title.startswith("VHDX header 1") for title in shown)
    assert any(title.startswith("region table 2") for title in shown)


def test_a_damaged_vhdx_header_shows_the_right_checksum(vhdtool: Command, tmp_path: Path) -> None:
    image = write_vhdx(tmp_path / "disk.vhdx", SIZE, {}).path
    patch(image, 64 * 1024 + 4, b"\0\0\0\0")
    shown = sections(vhdtool, image)
    title = next(title for title in shown if title.startswith("VHDX header 1"))
    assert [entry["field"] for entry in shown[title]["damaged"]] == ["checksum"]


def test_both_partition_tables_are_shown(vhdtool: Command, tmp_path: Path) -> None:
    pieces = gpt_pieces(SIZE, [(LINUX_GUID, 2048, 4095, "root \x1b[31m")])
    shown = sections(vhdtool, write_fixed_vhd(tmp_path / "gpt.vhd", SIZE, pieces))
    assert shown["backup GPT header"]["offset"] == SIZE - SECTOR
    assert shown["partitions"]["rows"][0]["length"] == MIB
    assert shown["partitions"]["rows"][0]["name"] == "root \x1b[31m"
    assert "\x1b" not in vhdtool("info", tmp_path / "gpt.vhd").out
    shown = sections(
        vhdtool, write_fixed_vhd(tmp_path / "mbr.vhd", SIZE, mbr_pieces([(0x83, 2048, 4096)]))
    )
    assert shown["master boot record"]["fields"]["entry_1"].startswith("0x83 from sector 2048")


def test_a_damaged_gpt_header_shows_the_right_crc(vhdtool: Command, tmp_path: Path) -> None:
    image = write_fixed_vhd(tmp_path / "gpt.vhd", SIZE, gpt_pieces(SIZE, []))
    patch(image, SECTOR + 16, b"\0\0\0\0")
    damaged = sections(vhdtool, image)["primary GPT header"]["damaged"]
    assert damaged[0]["field"] == "header_crc32"
    assert damaged[0]["expected"].startswith("0x")


def test_a_time_at_the_end_of_its_range_is_shown(vhdtool: Command, tmp_path: Path) -> None:
    tail = footer(SIZE, timestamp=0xFFFFFFFF)
    image = write_fixed_vhd(tmp_path / "disk.vhd", SIZE, tail=tail)
    assert "2136-02-07T06:28:15+00:00" in vhdtool("info", image).out
