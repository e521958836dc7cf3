"""Reports of every kind, made by hand, and names that would do harm if they were not escaped."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from vhdtool.disk.facts import DiskFacts, ImageFormat
from vhdtool.report.render import Asked
from vhdtool.rules.model import (
    DiskLocation,
    FileLocation,
    Finding,
    GuestLocation,
    GuestOutcome,
    Hit,
    Profile,
    RegistryLocation,
    Report,
    RuleFailure,
    Severity,
    Subject,
)
from vhdtool.rules.registry import rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vhdtool.rules.model import Location

MIB = 1 << 20
RULES = rules()
ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO

HOSTILE = [
    "evil\x1b[31m\u202egpj.vhd",
    "two\r\nlines.vhd",
    os.fsdecode(b"latin\xe9\xff.vhd"),
    "]]><failure>&amp;.vhd",
    "100%0A::error::x,y:z.vhd",
    "##[error]\"quoted' `cmd` $(x).vhd",
    os.fsdecode(b"\xed\xa0\x80") + "\N{BYTE ORDER MARK}\ufffe\U0001f4bf.vhd",
    "Ünïcödé \N{OPTICAL DISC} name.vhd",
    "http:/host/a?b#c.vhd",
    "[link](mailto:x){0}.vhd",
]


def finding(
    code: str = "VHD007",
    message: str = "size is 5 bytes, expected 6",
    location: Location | None = None,
    evidence: bytes = b"",
    severity: Severity | None = None,
) -> Finding:
    rule = RULES[code]
    return Finding(rule, Hit(message, location, evidence), severity or rule.severity)


def report(
    path: str | Path = "disk.vhd",
    findings: Sequence[Finding] = (),
    *,
    image_format: ImageFormat = ImageFormat.VHD_FIXED,
    virtual_size: int | None = 64 * MIB,
    profiles: Sequence[Profile] = (Profile.DATA_DISK,),
    crashed: Sequence[str] = (),
    gaps: Sequence[str] = (),
    open_error: str | None = None,
    guest: GuestOutcome | None = None,
) -> Report:
    facts = DiskFacts(
        path=Path(path),
        format=image_format,
        file_size=64 * MIB + 512,
        allocated_size=None,
        virtual_size=virtual_size,
        sector_size=512,
        vhd=None,
        vhdx=None,
        layout=None,
        all_zero=None,
        open_error=open_error,
        gaps=tuple(gaps),
        now=datetime(2026, 1, 1, tzinfo=UTC),
    )
    failures = tuple(RuleFailure(code, "KeyError: 'x'") for code in crashed)
    worst_first = sorted(findings, key=lambda found: (-found.severity.rank, found.rule.code))
    return Report(
        Path(path), facts, tuple(profiles), tuple(worst_first), failures, None, guest=guest
    )


def guest(
    summary: str = "Debian GNU/Linux 12 (bookworm) on partition 1",
    gaps: Sequence[str] = (),
    system: str = "linux",
) -> GuestOutcome:
    return GuestOutcome(system, summary, tuple(gaps), frozenset((Subject.GUEST, Subject.LINUX)))


def unreadable(path: str | Path = "gone.vhd", hint: str | None = None) -> Report:
    return Report(Path(path), None, (), (), (), f"cannot open {path}: no such file", hint)


def asked(
    fail_on: Severity | None = ERROR, *, codes: Sequence[str] = (), color: bool = False
) -> Asked:
    chosen = [RULES[code] for code in codes] or RULES.values()
    return Asked(tuple(chosen), fail_on, color=color)


def every_kind() -> list[Report]:
    """One of everything that a report can say, with hostile names and messages."""
    return [
        report("clean.vhd"),
        report(
            "bad.vhd",
            [
                finding("VHD007", location=FileLocation(0x280030, 8), evidence=b"\0\0\0\5ABCD"),
                finding("VHD003", location=FileLocation(0, 1), evidence=b"\3"),
                finding("VHD014", severity=INFO),
                finding("VHD025", "creator is \x1b]0;x\x07"),
                finding("DSK112", location=DiskLocation(512, 512), evidence=bytes(64)),
                finding("DSK112", location=DiskLocation(1024, 512)),
                finding("VHD021", evidence=b"qemu\xff"),
            ],
        ),
        report("linux.vhd", guest=guest()),
        report(
            "windows.vhd",
            [
                finding("VHD003", location=GuestLocation("/etc/fstab", 3), evidence=b"UUID=x\t/"),
                finding("VHD003", location=GuestLocation("/e\x1b[31m\udcff"), evidence=b"\xff\0"),
                finding("VHD003", location=RegistryLocation("SYSTEM", "Setup", "CmdLine")),
                finding("VHD003", location=RegistryLocation("BCD", "a\u202e{0}", "")),
                finding("VHD003", location=RegistryLocation("SAM", "")),
            ],
            guest=guest("Windows \u2066 on partition 2", ["a gap \x9b31m"], "windows"),
        ),
        report("empty.vhd", guest=guest("", ["the guest was not looked at whole"], "unknown")),
        report("part.vhdx", gaps=["a gap"], image_format=ImageFormat.VHDX, virtual_size=None),
        report("shut.vhd", open_error="bad table \x9b31m"),
        report("crash.vhd", [finding("DSK113")], crashed=["VHD009", "DSK111"]),
        unreadable(hint="look elsewhere \u2066"),
        *(report(name, [finding(message=f"named {name}")]) for name in HOSTILE),
        *(unreadable(name) for name in HOSTILE),
    ]


def is_harmless(text: str) -> bool:
    """Whether nothing in a text acts on a terminal or hides."""
    return all(line.isprintable() for line in text.split("\n"))
