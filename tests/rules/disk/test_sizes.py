"""Virtual sizes that Azure takes. A large disk is a small one with another size in its facts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.builders import ESP_GUID, GIB, LINUX_GUID, TIB
from tests.rules.disks import BASIC_DATA_GUID, BOOT_CODE, Part, ext4, fat32, fixed, gpt, mbr, ntfs
from vhdtool.disk.collect import collect_facts
from vhdtool.rules.model import Profile, Severity
from vhdtool.rules.registry import select_rules
from vhdtool.rules.runner import check_facts

if TYPE_CHECKING:
    from pathlib import Path

    from vhdtool.rules.model import Finding

ESP = Part(ESP_GUID, 1, 8, fat32())
LINUX = gpt([ESP, Part(LINUX_GUID, 9, 40, ext4())])
WINDOWS = mbr([Part(0x07, 1, 60, ntfs())], active=0, code=BOOT_CODE)
DATA = gpt([Part(BASIC_DATA_GUID, 1, 40, ntfs())])


def sized(folder: Path, code: str, pieces: dict[int, bytes], size: int) -> list[Finding]:
    facts = replace(collect_facts(fixed(folder, pieces)), virtual_size=size)
    report = check_facts(facts, profiles=tuple(Profile), rules=select_rules([code]))
    assert report.failures == ()
    return list(report.findings)


@pytest.mark.parametrize(
    ("code", "limit", "message"),
    [
        (
            "DSK108",
            2 * TIB,
            "expected at most 2199023255552 bytes (2 TiB) for a generation 1 OS disk",
        ),
        (
            "DSK109",
            4095 * GIB,
            "expected at most 4396972769280 bytes (3.99902 TiB) for a generation 2 OS disk",
        ),
        (
            "DSK110",
            32767 * GIB,
            "expected at most 35183298347008 bytes (31.999 TiB) for a data disk",
        ),
    ],
)
def test_limits_of_azure(tmp_path: Path, code: str, limit: int, message: str) -> None:
    [found] = sized(tmp_path, code, LINUX, limit + GIB)
    assert found.hit.message.startswith(f"virtual size is {limit + GIB} bytes (")
    assert found.hit.message.endswith(message)
    assert found.severity is Severity.ERROR
    assert sized(tmp_path, code, LINUX, limit) == []


def test_dsk108_hits_more_than_2_tib(tmp_path: Path) -> None:
    [found] = sized(tmp_path, "DSK108", WINDOWS, 2 * TIB + GIB)
    assert found.rule.profiles == {Profile.GEN1}


def test_dsk108_passes_2_tib(tmp_path: Path) -> None:
    assert sized(tmp_path, "DSK108", WINDOWS, 2 * TIB) == []


def test_dsk109_hits_4_tib(tmp_path: Path) -> None:
    [found] = sized(tmp_path, "DSK109", LINUX, 4 * TIB)
    assert found.rule.profiles == {Profile.GEN2}


def test_dsk109_passes_4095_gib(tmp_path: Path) -> None:
    assert sized(tmp_path, "DSK109", LINUX, 4095 * GIB) == []


def test_dsk110_hits_32_tib(tmp_path: Path) -> None:
    [found] = sized(tmp_path, "DSK110", DATA, 32 * TIB)
    assert found.rule.profiles == {Profile.DATA_DISK}


def test_dsk110_passes_32767_gib(tmp_path: Path) -> None:
    assert sized(tmp_path, "DSK110", DATA, 32767 * GIB) == []


def test_dsk111_hits_linux_above_1023_gib(tmp_path: Path) -> None:
    [found] = sized(tmp_path, "DSK111", LINUX, TIB)
    assert found.hit.message == (
        "virtual size is 1099511627776 bytes (1 TiB), expected at most 1098437885952 bytes (1023"
        " GiB) for a Linux disk according to Azure's older pages"
    )
    assert found.severity is Severity.INFO


def test_dsk111_passes_1023_gib_and_other_disks(tmp_path: Path) -> None:
    assert sized(tmp_path, "DSK111", LINUX, 1023 * GIB) == []
    assert sized(tmp_path, "DSK111", WINDOWS, TIB) == []
    assert sized(tmp_path, "DSK111", DATA, TIB) == []


def test_dsk136_hits_more_than_is_customary(tmp_path: Path) -> None:
    [linux] = sized(tmp_path, "DSK136", LINUX, 31 * GIB)
    assert linux.hit.message == (
        "virtual size is 33285996544 bytes (31 GiB), expected at most 32212254720 bytes (30 GiB)"
        " for an ordinary Linux OS disk"
    )
    assert linux.severity is Severity.INFO
    [windows] = sized(tmp_path, "DSK136", WINDOWS, 128 * GIB)
    assert windows.hit.message.endswith("(127 GiB) for an ordinary Windows OS disk")


def test_dsk136_passes_customary_sizes_and_data_disks(tmp_path: Path) -> None:
    assert sized(tmp_path, "DSK136", LINUX, 30 * GIB) == []
    assert sized(tmp_path, "DSK136", WINDOWS, 127 * GIB) == []
    assert sized(tmp_path, "DSK136", DATA, TIB) == []
