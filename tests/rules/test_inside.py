"""Rules of guests: run in a worker, over the system that is there, and not able to take us down."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.builders import MIB
from tests.guest.volumes import DEBIAN, ext4
from tests.rules.disks import BOOT_CODE, Part, fixed, gpt, grub, mbr
from vhdtool.disk.collect import collect_facts, collect_opened
from vhdtool.errors import GuestError
from vhdtool.guest.systems import SystemKind
from vhdtool.guest.worker import Limits
from vhdtool.rules.model import (
    DiskLocation,
    Documentation,
    GuestLocation,
    Hit,
    Profile,
    RegistryLocation,
    Report,
    Rule,
    Severity,
    Subject,
)
from vhdtool.rules.runner import check, check_facts, default_profiles, exit_status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from vhdtool.guest.guest import Guest
    from vhdtool.guest.linux.guest import LinuxGuest

TEXT = Documentation("what", "why", "fix", "source")
ESP_GUID = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("disk")
    files = {"/usr/lib/os-release": DEBIAN, "/etc/hostname": "web1\n"}
    return fixed(folder, mbr([Part(0x83, 1, 8, ext4(folder, files))], active=0, code=BOOT_CODE))


def rule(
    check: Callable[[Any], Iterator[Hit]],
    subject: Subject = Subject.LINUX,
    code: str = "LNX001",
    *profiles: Profile,
) -> Rule:
    return Rule(code, "name", Severity.WARNING, frozenset(profiles), "0.1", TEXT, check, subject)


def judge(path: Path, *rules: Rule, seconds: float = 20, **options: Any) -> Report:
    facts, image = collect_opened(path)
    assert image is not None
    with image:
        limits = Limits(seconds=seconds)
        return check_facts(facts, rules=rules, image=image, limits=limits, **options)


def test_hits_come_back_as_they_were(disk: Path) -> None:
    expected = [
        Hit("host is web1", GuestLocation("/etc/hostname", 1), b"web1\n\xff", Severity.ERROR),
        Hit("nowhere", None),
        Hit("odd \udce9 \x1b", GuestLocation("/\udce9")),
        Hit("a key", RegistryLocation("SYSTEM", "Setup", "")),
        Hit("a key", RegistryLocation("SYSTEM", "Setup")),
        Hit("on the disk", DiskLocation(1 << 40, 512), b"", Severity.INFO),
    ]

    def found(guest: LinuxGuest) -> Iterator[Hit]:
        assert guest.hostname is not None
        assert guest.hostname.text == "web1"
        yield from expected

    report = judge(disk, rule(found))
    assert report.failures == ()
    assert sorted(map(repr, (one.hit for one in report.findings))) == sorted(map(repr, expected))
    assert report.findings[0].severity is Severity.ERROR
    assert [one.severity for one in report.findings[1:-1]] == [Severity.WARNING] * 4
    assert report.guest is not None
    assert report.guest.summary == "Debian GNU/Linux 12 (bookworm) on partition 1"
    assert report.guest.subjects == {Subject.GUEST, Subject.LINUX}


def test_rules_are_run_over_their_own_subject_and_for_their_profiles(disk: Path) -> None:
    seen = [
        rule(_name, Subject.DISK, "AAA001"),
        rule(_name, Subject.GUEST, "AAA002"),
        rule(_name, Subject.LINUX, "AAA003"),
        rule(_name, Subject.WINDOWS, "AAA004"),
        rule(_name, Subject.LINUX, "AAA005", Profile.GEN2),
        rule(_name, Subject.LINUX, "AAA006", Profile.GEN1),
    ]
    report = judge(disk, *seen)
    assert [(one.rule.code, one.hit.message) for one in report.findings] == [
        ("AAA001", "DiskFacts"),
        ("AAA002", "Guest"),
        ("AAA003", "LinuxGuest"),
        ("AAA006", "LinuxGuest"),
    ]


def _name(subject: Any) -> Iterator[Hit]:
    yield Hit(type(subject).__name__)


def _first(subject: Any) -> Iterator[Hit]:
    yield Hit("first")


def _hang(subject: Any) -> Iterator[Hit]:
    yield Hit("before")
    while True:
        time.sleep(1)


def _eat(subject: Any) -> Iterator[Hit]:
    yield Hit("before")
    yield Hit(str(len(bytes(4096 * MIB))))


def _die(subject: Any) -> Iterator[Hit]:
    yield Hit("before")
    os.kill(os.getpid(), signal.SIGKILL)


def _nest(subject: Any) -> Iterator[Hit]:
    yield Hit("before")
    yield from _nest(subject)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (_hang, "it took longer than 2 seconds, and was stopped"),
        (_eat, "it needed more than 512 MiB"),
        (_die, r"it was ended by signal 9 \(SIGKILL\)"),
        (_nest, "it is nested too deeply"),
    ],
)
def test_what_ends_a_worker_is_told_and_what_it_found_is_kept(
    disk: Path, end: Any, reason: str
) -> None:
    report = judge(disk, rule(_first, code="LNX001"), rule(end, code="LNX002"), seconds=2)
    assert report.failures == ()
    assert {one.hit.message for one in report.findings} >= {"first", "before"}
    assert report.guest is not None
    (gap,) = report.guest.gaps
    assert gap.startswith("the guest was not looked at whole: while LNX002 was judged, it ")
    assert pytest.raises(AssertionError, match=reason).matches(AssertionError(gap))
    assert exit_status([report], Severity.ERROR) == 3


def test_rule_that_crashes_is_a_bug_and_the_others_go_on(disk: Path) -> None:
    def crash(guest: Guest) -> Iterator[Hit]:
        raise KeyError("x")
        yield

    report = judge(disk, rule(crash, Subject.GUEST, "GEN001"), rule(_first))
    assert [(one.code, one.error) for one in report.failures] == [("GEN001", "KeyError: 'x'")]
    assert [one.hit.message for one in report.findings] == ["first"]
    assert exit_status([report], None) == 70


def test_what_a_rule_cannot_read_is_a_gap(disk: Path) -> None:
    def unreadable(guest: LinuxGuest) -> Iterator[Hit]:
        yield Hit("before")
        raise GuestError("inode 12: is damaged")

    report = judge(disk, rule(unreadable))
    assert report.guest is not None
    assert report.failures == ()
    assert [one.hit.message for one in report.findings] == ["before"]
    assert report.guest.gaps == ("LNX001 is not judged whole: inode 12: is damaged",)
    report = judge(disk, *(rule(unreadable, code=f"LNX{number:03}") for number in range(12)))
    assert report.guest is not None
    codes = ", ".join(f"LNX{number:03}" for number in range(8))
    assert report.guest.gaps == (f"{codes} and 4 more are not judged whole: inode 12: is damaged",)


def test_disk_without_a_guest_is_judged_by_rules_of_any_guest(tmp_path: Path) -> None:
    rules = [rule(_name, Subject.GUEST, "GEN001"), rule(_name, Subject.LINUX)]
    report = judge(fixed(tmp_path, {}), *rules)
    assert [one.hit.message for one in report.findings] == ["Guest"]
    assert report.guest is not None
    assert (report.guest.system, report.guest.summary, report.guest.gaps) == ("none", "", ())


def test_guest_can_be_left_out(disk: Path) -> None:
    assert check(disk, guest=False).guest is None
    assert check(disk).guest is not None


def test_image_that_cannot_be_opened_has_no_guest(tmp_path: Path) -> None:
    (tmp_path / "empty.vhd").touch()
    assert check(tmp_path / "empty.vhd").guest is None


LINUX, NONE, UNKNOWN = SystemKind.LINUX, SystemKind.NONE, SystemKind.UNKNOWN
GEN1, GEN2, DATA = Profile.GEN1, Profile.GEN2, Profile.DATA_DISK


def test_purpose_is_found_from_the_system_too(tmp_path: Path) -> None:
    from tests.rules.disks import BASIC_DATA_GUID, ntfs

    def profiles(pieces: Any, system: SystemKind | None) -> tuple[Profile, ...]:
        return default_profiles(collect_facts(fixed(tmp_path, pieces)), system)

    active = mbr([Part(0x07, 1, 60, ntfs())], active=0, code=BOOT_CODE)
    assert profiles(active, None) == profiles(active, UNKNOWN) == (GEN1,)
    assert profiles(active, NONE) == (DATA,)
    assert profiles(mbr([Part(0x83, 1, 60)], active=0, code=grub()), NONE) == (GEN1,)
    plain = mbr([Part(0x83, 1, 60)])
    assert profiles(plain, None) == profiles(plain, NONE) == profiles(plain, UNKNOWN) == (DATA,)
    assert profiles(plain, LINUX) == (GEN1,)
    assert profiles(gpt([Part(BASIC_DATA_GUID, 1, 60)]), SystemKind.WINDOWS) == (GEN2,)
