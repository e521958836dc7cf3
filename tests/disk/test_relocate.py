"""Where the two copies of a GUID partition table go; sgdisk is the judge."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import (
    LINUX_GUID,
    MIB,
    SECTOR,
    flatten,
    gpt_pieces,
    mbr_pieces,
    mbr_sector,
    pattern,
)
from vhdtool.disk.relocate import relocate
from vhdtool.formats.gpt import GptHeader

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 8 * MIB
PARTITIONS = [(LINUX_GUID, 2048, 8191, "root"), (LINUX_GUID, 8192, SIZE // SECTOR - 34, "data")]
SGDISK = shutil.which("sgdisk") or shutil.which("sgdisk", path="/usr/sbin:/sbin")


class Bytes:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def read_at(self, offset: int, length: int, /) -> bytes:
        return self.data[offset : offset + length]


def patched(disk: bytes, new_size: int) -> bytes:
    relocation = relocate(Bytes(disk), len(disk), new_size)
    assert relocation.problem is None
    return flatten(new_size, {patch.offset: patch.data for patch in relocation.patches}, disk)


def gpt_disk(size: int = SIZE) -> bytes:
    return flatten(size, {**gpt_pieces(size, PARTITIONS), 2048 * SECTOR: pattern(4096)})


def sgdisk_verdict(path: Path, disk: bytes) -> str:
    if SGDISK is None:
        pytest.skip("sgdisk is not installed")
    path.write_bytes(disk)
    done = subprocess.run([SGDISK, "-v", path], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("new_size", [SIZE, SIZE + SECTOR, SIZE + 20 * SECTOR, SIZE + MIB])
def test_sgdisk_finds_no_problem_after_any_growth(tmp_path: Path, new_size: int) -> None:
    verdict = sgdisk_verdict(tmp_path / "disk", patched(gpt_disk(), new_size))
    assert "No problems found" in verdict


def test_a_sound_table_is_left_alone() -> None:
    disk = gpt_disk()
    assert relocate(Bytes(disk), SIZE, SIZE).patches == ()


def test_the_backup_moves_and_the_usable_space_grows_with_the_disk() -> None:
    grown = patched(gpt_disk(), SIZE + MIB)
    primary = GptHeader.parse(grown[SECTOR:])
    backup = GptHeader.parse(grown[-SECTOR:])
    last = (SIZE + MIB) // SECTOR - 1
    assert (primary.backup_lba, primary.last_usable_lba) == (last, last - 33)
    assert (backup.current_lba, backup.backup_lba, backup.entries_lba) == (last, 1, last - 32)
    assert primary.disk_guid == backup.disk_guid


def test_the_old_backup_header_is_wiped() -> None:
    grown = patched(gpt_disk(), SIZE + MIB)
    assert grown[SIZE - SECTOR : SIZE] == bytes(SECTOR)


def test_the_protective_mbr_covers_the_grown_disk() -> None:
    grown = patched(gpt_disk(), SIZE + MIB)
    assert int.from_bytes(grown[458:462], "little") == (SIZE + MIB) // SECTOR - 1


def test_a_protective_mbr_that_says_the_most_it_can_stays() -> None:
    disk = bytearray(gpt_disk())
    disk[458:462] = b"\xff" * 4
    assert patched(bytes(disk), SIZE + MIB)[458:462] == b"\xff" * 4


def test_a_hybrid_mbr_with_a_smaller_protective_entry_stays() -> None:
    disk = bytearray(gpt_disk())
    disk[:SECTOR] = mbr_sector([(0xEE, 1, 2047), (0x83, 2048, 4096)])
    assert patched(bytes(disk), SIZE + MIB)[:SECTOR] == disk[:SECTOR]


def test_partitions_and_data_stay_where_they_are() -> None:
    disk = gpt_disk()
    grown = patched(disk, SIZE + MIB)
    assert grown[2 * SECTOR : SIZE - SECTOR] == disk[2 * SECTOR : SIZE - SECTOR]


@pytest.mark.parametrize("spoil", [SIZE - SECTOR, SIZE - SECTOR + 60, SIZE - 33 * SECTOR])
def test_a_damaged_backup_is_made_anew(tmp_path: Path, spoil: int) -> None:
    good = gpt_disk()
    disk = bytearray(good)
    disk[spoil] ^= 0xFF
    assert patched(bytes(disk), SIZE) == good


@pytest.mark.parametrize("spoil", [SECTOR, SECTOR + 60, 2 * SECTOR])
def test_a_damaged_primary_is_made_from_the_backup(spoil: int) -> None:
    good = gpt_disk()
    disk = bytearray(good)
    disk[spoil] ^= 0xFF
    assert patched(bytes(disk), SIZE) == good
    relocation = relocate(Bytes(bytes(disk)), SIZE, SIZE + MIB)
    assert relocation.note is not None


def test_two_damaged_copies_are_a_problem_and_nothing_is_patched() -> None:
    disk = bytearray(gpt_disk())
    disk[SECTOR + 60] ^= 1
    disk[SIZE - SECTOR + 60] ^= 1
    relocation = relocate(Bytes(bytes(disk)), SIZE, SIZE + MIB)
    assert relocation.patches == ()
    assert relocation.problem is not None


def test_a_partition_past_the_end_of_the_disk_is_a_problem() -> None:
    disk = gpt_disk()[: SIZE - MIB]
    relocation = relocate(Bytes(disk), len(disk), len(disk))
    assert relocation.patches == ()
    assert relocation.problem is not None
    assert "past the last usable sector" in relocation.problem


def test_a_backup_left_in_the_middle_by_an_earlier_growth_is_moved(tmp_path: Path) -> None:
    stranded = gpt_disk().ljust(SIZE + MIB, b"\0")
    disk = patched(stranded, SIZE + MIB)
    assert "No problems found" in sgdisk_verdict(tmp_path / "disk", disk)
    assert disk[SIZE - SECTOR : SIZE] == bytes(SECTOR)


def test_an_mbr_disk_with_the_remains_of_a_gpt_is_left_alone() -> None:
    disk = bytearray(gpt_disk())
    disk[: 2 * SECTOR] = flatten(2 * SECTOR, mbr_pieces([(0x83, 2048, 4096)]))
    assert relocate(Bytes(bytes(disk)), SIZE, SIZE + MIB).patches == ()


@given(st.binary(max_size=4 * SECTOR), st.integers(0, 64))
def test_nothing_on_a_disk_makes_it_fail(head: bytes, sectors: int) -> None:
    disk = head.ljust(sectors * SECTOR, b"\0")
    relocate(Bytes(disk), len(disk), len(disk) + MIB)


@given(st.integers(0, 91), st.binary(min_size=1, max_size=8))
def test_no_header_field_makes_it_fail_or_touch_data(field: int, value: bytes) -> None:
    disk = bytearray(gpt_disk())
    disk[SECTOR + field : SECTOR + field + len(value)] = value
    relocation = relocate(Bytes(bytes(disk)), SIZE, SIZE + MIB)
    for patch in relocation.patches:
        in_front = patch.offset + len(patch.data) <= 34 * SECTOR
        assert in_front or patch.offset >= SIZE - 33 * SECTOR
