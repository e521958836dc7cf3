"""Running rules: profiles, order, crashes, exit status."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import vhdtool
from tests.builders import (
    ESP_GUID,
    LINUX_GUID,
    SECTOR,
    TIB,
    VhdParent,
    mbr_sector,
    patch,
    write_vhd,
    write_vhdx,
)
from tests.rules.disks import (
    BASIC_DATA_GUID,
    BIOS_BOOT_GUID,
    BOOT_CODE,
    MSR_GUID,
    SIZE,
    Part,
    ext4,
    fat32,
    fixed,
    gpt,
    grub,
    grub_core,
    mbr,
    ntfs,
)
from vhdtool.disk.collect import collect_facts
from vhdtool.errors import ConfigError
from vhdtool.rules.model import DiskLocation, Hit, Profile, RuleFailure, Severity
from vhdtool.rules.registry import rules
from vhdtool.rules.runner import check, check_facts, default_profiles, exit_status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.builders import Pieces
    from vhdtool.disk.facts import DiskFacts
    from vhdtool.rules.model import Report, Rule

ESP = Part(ESP_GUID, 9, 8, fat32())
BIOS_BOOT = Part(BIOS_BOOT_GUID, 1, 4, grub_core(2048))
ROOT = Part(LINUX_GUID, 17, 40, ext4())
GEN1, GEN2, DATA = Profile.GEN1, Profile.GEN2, Profile.DATA_DISK

ISOHYBRID = {
    0: mbr_sector([(0x00, 0, 100000), (0xEF, 2048, 8192)], active=0, code=BOOT_CODE),
}


# --- profiles


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        pytest.param(gpt([ESP, ROOT]), (GEN2,), id="UEFI"),
        pytest.param(gpt([ESP, ROOT], code=BOOT_CODE), (GEN2,), id="UEFI with boot code"),
        pytest.param(gpt([ESP, ROOT], code=grub()), (GEN2,), id="UEFI, once with GRUB for BIOS"),
        pytest.param(gpt([BIOS_BOOT, ESP, ROOT], code=grub(2048)), (GEN1, GEN2), id="both"),
        pytest.param(gpt([BIOS_BOOT, ESP, ROOT]), (GEN2,), id="both, BIOS loader never installed"),
        pytest.param(gpt([BIOS_BOOT, ROOT], code=grub(2048)), (GEN1,), id="GPT for BIOS"),
        pytest.param(gpt([BIOS_BOOT, ROOT]), (GEN1,), id="GPT for BIOS, never installed"),
        pytest.param(gpt([ROOT], code=grub()), (GEN1,), id="GPT with GRUB"),
        pytest.param(mbr([Part(0x83, 1, 60)], active=0, code=BOOT_CODE), (GEN1,), id="MBR"),
        pytest.param(mbr([Part(0x83, 1, 60)], active=0), (GEN1,), id="MBR, no boot code"),
        pytest.param(mbr([Part(0x83, 1, 60)], code=grub()), (GEN1,), id="MBR, GRUB, not active"),
        pytest.param(mbr([Part(0xEF, 1, 8), Part(0x83, 9, 50)]), (GEN2,), id="MBR for UEFI"),
        pytest.param(ISOHYBRID, (GEN1,), id="isohybrid"),
        pytest.param(mbr([Part(0x07, 1, 60, ntfs())], code=BOOT_CODE), (DATA,), id="MBR data"),
        pytest.param(gpt([Part(BASIC_DATA_GUID, 1, 60, ntfs())]), (DATA,), id="GPT data"),
        pytest.param(gpt([Part(MSR_GUID, 1, 16)], code=BOOT_CODE), (DATA,), id="GPT data, new"),
        pytest.param({0: ext4()}, (DATA,), id="bare file system"),
        pytest.param({0: ntfs()}, (DATA,), id="bare NTFS"),
        pytest.param({}, (DATA,), id="empty"),
    ],
)
def test_purpose_is_found_from_the_disk(
    tmp_path: Path, pieces: Pieces, expected: tuple[Profile, ...]
) -> None:
    assert default_profiles(collect_facts(fixed(tmp_path, pieces))) == expected


def test_disk_that_boots_both_ways_and_is_large_is_for_generation_2(tmp_path: Path) -> None:
    facts = collect_facts(fixed(tmp_path, gpt([BIOS_BOOT, ESP, ROOT], code=grub(2048))))
    assert default_profiles(replace(facts, virtual_size=2 * TIB)) == (GEN1, GEN2)
    assert default_profiles(replace(facts, virtual_size=2 * TIB + SECTOR)) == (GEN2,)


def test_disk_that_cannot_be_read_is_taken_for_a_data_disk(tmp_path: Path) -> None:
    child = write_vhd(tmp_path / "child.vhd", SIZE, parent=VhdParent()).path
    assert default_profiles(collect_facts(child)) == (DATA,)


def test_what_is_named_besides_a_purpose_adds_to_what_is_found(tmp_path: Path) -> None:
    path = fixed(tmp_path, gpt([ESP, ROOT]))
    assert check(path, profiles=["generalized"]).profiles == (GEN2, Profile.GENERALIZED)
    named = ["specialized", "marketplace"]
    assert check(path, profiles=named).profiles == (
        GEN2,
        Profile.SPECIALIZED,
        Profile.MARKETPLACE,
    )


def test_a_purpose_that_is_named_is_taken(tmp_path: Path) -> None:
    path = fixed(tmp_path, gpt([ESP, ROOT]))
    assert check(path, profiles=["azure-gen1"]).profiles == (GEN1,)
    both = ["data-disk", "marketplace", "data-disk"]
    assert check(path, profiles=both).profiles == (DATA, Profile.MARKETPLACE)


def test_rules_for_other_profiles_are_silent(tmp_path: Path) -> None:
    path = fixed(tmp_path, gpt([ESP, ROOT]))
    assert check(path, select=["DSK103"], profiles=["azure-gen1"]).findings
    assert check(path, select=["DSK103"]).findings == ()


def test_unknown_profiles_and_selectors_are_the_callers_errors(tmp_path: Path) -> None:
    path = fixed(tmp_path)
    with pytest.raises(ValueError, match="azure-gen3"):
        check(path, profiles=["azure-gen3"])
    with pytest.raises(ConfigError):
        check(path, select=["VHD999"])
    with pytest.raises(ConfigError):
        check(path, ignore=["VHD999"])


# --- findings


def a_rule(code: str, *found: Hit, severity: Severity = Severity.ERROR) -> Rule:
    def yield_hits(facts: DiskFacts) -> Iterator[Hit]:
        yield from found

    return replace(
        rules()["VHD007"],
        code=code,
        severity=severity,
        profiles=frozenset[Profile](),
        check=yield_hits,
    )


def test_findings_are_in_order_the_worst_first(tmp_path: Path) -> None:
    facts = collect_facts(fixed(tmp_path))
    report = check_facts(
        facts,
        rules=[
            a_rule("VHD003", Hit("info"), severity=Severity.INFO),
            a_rule("VHD002", Hit("late", DiskLocation(9, 1)), Hit("early", DiskLocation(1, 1))),
            a_rule("VHD001", Hit("nowhere"), Hit("mild", severity=Severity.WARNING)),
            a_rule("VHD004", Hit("worse", severity=Severity.ERROR), severity=Severity.INFO),
        ],
    )
    messages = [finding.hit.message for finding in report.findings]
    assert messages == ["nowhere", "early", "late", "worse", "mild", "info"]


def test_a_hit_may_be_milder_than_its_rule(tmp_path: Path) -> None:
    mild = a_rule("VHD001", Hit("mild", severity=Severity.INFO))
    [finding] = check_facts(collect_facts(fixed(tmp_path)), rules=[mild]).findings
    assert (finding.severity, finding.rule.severity) == (Severity.INFO, Severity.ERROR)


def test_a_crashed_rule_is_reported_and_the_others_run(tmp_path: Path) -> None:
    def crash(facts: DiskFacts) -> Iterator[Hit]:
        yield Hit("not yet")
        raise ZeroDivisionError("by zero")

    crashing = replace(a_rule("VHD001"), check=crash)
    facts = collect_facts(fixed(tmp_path))
    report = check_facts(facts, rules=[crashing, a_rule("VHD002", Hit("fine"))])
    assert [(failure.code, failure.error) for failure in report.failures] == [
        ("VHD001", "ZeroDivisionError: by zero")
    ]
    assert [finding.hit.message for finding in report.findings] == ["fine"]
    assert exit_status([report], None) == 70


def test_a_missing_file_is_an_unreadable_image(tmp_path: Path) -> None:
    report = check(tmp_path / "none.vhd")
    assert (report.facts, report.findings) == (None, ())
    assert (report.error or "").endswith("none.vhd: No such file or directory")
    assert exit_status([report], Severity.ERROR) == 3


def test_check_is_part_of_the_library(tmp_path: Path) -> None:
    report = vhdtool.check(fixed(tmp_path, gpt([ESP, ROOT]), size=SIZE), guest=False)
    assert (report.findings, report.failures, report.error) == ((), (), None)


# --- exit status


def report_with(folder: Path, *severities: Severity) -> Report:
    found = [a_rule("VHD001", Hit("it", severity=severity)) for severity in severities]
    return check_facts(collect_facts(fixed(folder)), rules=found)


@pytest.mark.parametrize(
    ("severities", "fail_on", "expected"),
    [
        ((), Severity.INFO, 0),
        ((Severity.INFO,), Severity.ERROR, 0),
        ((Severity.INFO,), Severity.WARNING, 0),
        ((Severity.INFO,), Severity.INFO, 1),
        ((Severity.WARNING,), Severity.ERROR, 0),
        ((Severity.WARNING,), Severity.WARNING, 1),
        ((Severity.ERROR, Severity.INFO), Severity.ERROR, 1),
        ((Severity.ERROR,), Severity.INFO, 1),
        ((Severity.ERROR,), None, 0),
    ],
)
def test_exit_status_follows_the_worst_finding(
    tmp_path: Path, severities: tuple[Severity, ...], fail_on: Severity | None, expected: int
) -> None:
    assert exit_status([report_with(tmp_path, *severities)], fail_on) == expected


def test_exit_status_is_that_of_the_worst_image(tmp_path: Path) -> None:
    clean = report_with(tmp_path)
    found = report_with(tmp_path, Severity.ERROR)
    missing = check(tmp_path / "none.vhd")
    assert exit_status([], Severity.ERROR) == 0
    assert exit_status([clean, found, clean], Severity.ERROR) == 1
    assert exit_status([missing, found], Severity.ERROR) == 3
    assert exit_status([found, missing], Severity.ERROR) == 3
    crashed = replace(clean, failures=(RuleFailure("VHD001", "it crashed"),))
    assert exit_status([found, missing, crashed], Severity.ERROR) == 70


def test_a_disk_that_cannot_be_read_is_no_clean_one(tmp_path: Path) -> None:
    """With an error that says why it is a finding, without one it could not be read."""
    path = write_vhdx(tmp_path / "disk.vhdx", SIZE).path
    patch(path, 2 << 20, b"damaged!")
    assert exit_status([check(path)], Severity.ERROR) == 1
    assert exit_status([check(path, ignore=["VHD"])], Severity.ERROR) == 3
    assert exit_status([check(path, ignore=["VHD"])], None) == 3


def test_a_disk_that_is_read_in_part_is_no_clean_one(tmp_path: Path) -> None:
    layout = write_vhd(tmp_path / "disk.vhd", SIZE, gpt([ESP, ROOT]))
    patch(layout.path, layout.table_offset + 4 * 8, struct.pack(">I", 0x00FFFFFF))
    report = check(layout.path, select=["DSK"])
    assert report.facts is not None
    assert any(
        gap.startswith("cannot read 512 bytes at byte 17825792") for gap in report.facts.gaps
    )
    assert exit_status([report], Severity.ERROR) == 3
    assert exit_status([check(layout.path)], Severity.ERROR) == 1
