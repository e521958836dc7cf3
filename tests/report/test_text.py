"""Reports as text."""

from __future__ import annotations

import re

import pytest

from tests.report.samples import (
    HOSTILE,
    INFO,
    MIB,
    asked,
    every_kind,
    finding,
    guest,
    is_harmless,
    report,
    unreadable,
)
from vhdtool.disk.facts import ImageFormat
from vhdtool.report.render import Asked, render
from vhdtool.rules.model import (
    DiskLocation,
    FileLocation,
    GuestLocation,
    Profile,
    RegistryLocation,
    Report,
)


def text(*reports: Report, what: Asked | None = None) -> str:
    return render(reports, "text", what or asked())


def test_a_clean_image_is_one_line() -> None:
    assert text(report()) == "disk.vhd: fixed VHD, 64.0 MiB, profile data-disk (assumed): clean\n"


def test_findings_say_what_and_where_and_end_with_counts() -> None:
    shown = text(
        report(
            "my disk.vhd",
            [
                finding("VHD025", "creator is unknown", evidence=b"abcdefgh"),
                finding("VHD014", "sizes differ", DiskLocation(0x200, 1), b"\5"),
                finding("VHD007", "size is odd", FileLocation(0x280030, 8), b"\0\0\0\0\2\x80(\0"),
                finding("VHD003", "it is dynamic", FileLocation(0, 4)),
            ],
        )
    )
    assert shown == (
        "my disk.vhd: fixed VHD, 64.0 MiB, profile data-disk (assumed)\n"
        "error   VHD003 dynamic-disk: it is dynamic\n"
        "        file offset 0x0, 4 bytes\n"
        "error   VHD007 virtual-size-not-whole-mib: size is odd\n"
        "        file offset 0x280030, 8 bytes: 00 00 00 00 02 80 28 00\n"
        "warning VHD014 size-by-geometry-differs: sizes differ\n"
        "        disk offset 0x200, 1 byte: 05\n"
        "info    VHD025 creator-unknown: creator is unknown\n"
        "        61 62 63 64 65 66 67 68 |abcdefgh|\n"
        "2 errors, 1 warning, 1 info\n"
        "hint: `vhdtool convert 'my disk.vhd' OUT.vhd` writes it as a fixed VHD of whole MiB\n"
        "hint: `vhdtool rule VHD003` explains such a finding\n"
    )


def test_the_guest_has_a_line_and_its_evidence_is_text() -> None:
    found = [
        finding("VHD003", "no nofail", GuestLocation("/etc/fstab", 3), b"UUID=x\t/data ext4"),
        finding("VHD003", "odd bytes", GuestLocation("/etc/x"), b"\0\xff"),
        finding("VHD003", "it is set", RegistryLocation("SYSTEM", "Setup", "")),
    ]
    shown = text(report(findings=found, guest=guest(gaps=["/var is not mounted"])))
    assert shown.splitlines()[1:] == [
        "guest   Debian GNU/Linux 12 (bookworm) on partition 1",
        "error   VHD003 dynamic-disk: no nofail",
        "        /etc/fstab, line 3: UUID=x /data ext4",
        "error   VHD003 dynamic-disk: odd bytes",
        "        /etc/x: 00 ff",
        "error   VHD003 dynamic-disk: it is set",
        "        SYSTEM\\Setup, value (default)",
        "unread  /var is not mounted",
        "3 errors, read in part",
        "hint: `vhdtool convert disk.vhd OUT.vhd` writes it as a fixed VHD of whole MiB",
        "hint: `vhdtool rule VHD003` explains such a finding",
    ]
    assert text(report(guest=guest())).splitlines()[1:] == [
        "guest   Debian GNU/Linux 12 (bookworm) on partition 1"
    ]


def test_long_evidence_is_cut_and_says_so() -> None:
    shown = text(report(findings=[finding(location=FileLocation(0, 64), evidence=bytes(64))]))
    assert f"64 bytes: {' '.join(['00'] * 16)} ...\n" in shown
    shown = text(report(findings=[finding(location=FileLocation(0, 512), evidence=b"EFI PART")]))
    assert "512 bytes: 45 46 49 20 50 41 52 54 |EFI PART| ...\n" in shown


def test_profiles_say_which_were_found() -> None:
    image = report(profiles=(Profile.GEN2, Profile.MARKETPLACE))
    assert "profiles azure-gen2, marketplace (assumed)" in text(image)
    named = Asked(asked().rules, None, (Profile.MARKETPLACE,))
    assert "marketplace (azure-gen2 assumed)" in text(image, what=named)
    named = Asked(asked().rules, None, (Profile.MARKETPLACE, Profile.GEN2))
    assert "marketplace (as named)" in text(image, what=named)


def test_an_unreadable_image_says_why_and_what_to_do() -> None:
    assert text(unreadable(hint="look elsewhere")) == (
        "gone.vhd\nunread  cannot open gone.vhd: no such file\nhint: look elsewhere\n"
    )


@pytest.mark.parametrize(
    ("image", "line", "outcome"),
    [
        (report(gaps=["a gap"]), "unread  a gap", "read in part"),
        (report(open_error="bad"), "unread  the disk cannot be read: bad", "read in part"),
        (report(crashed=["VHD009"]), "crashed VHD009: KeyError: 'x'", "1 rule crashed"),
    ],
)
def test_what_is_not_known_is_never_clean(image: Report, line: str, outcome: str) -> None:
    assert text(image).splitlines()[1:] == [line, outcome]


def test_an_image_that_no_rule_is_for_is_not_clean() -> None:
    shown = text(report(), what=asked(codes=["DSK102"]))
    assert shown.splitlines()[1:] == [
        "skipped none of the selected rules is for this profile",
        "judged by no rule",
    ]


def test_several_images_end_with_totals() -> None:
    images = [
        report("a.vhd", [finding("VHD014"), finding("DSK113"), finding("VHD014", severity=INFO)]),
        report("b.vhd"),
        unreadable(),
        report("c.vhd", gaps=["x"], crashed=["VHD009"]),
        report("d.vhd", gaps=["x"]),
    ]
    totals, hint = text(*images).splitlines()[-2:]
    assert totals == (
        "5 images: 1 error, 1 warning, 1 info, 1 rule crashed, 1 image cannot be read, "
        "2 images read in part"
    )
    assert hint == "hint: `vhdtool rule DSK113` explains such a finding"
    assert text(report(), report()).endswith("\n\n2 images: clean\n")


def test_no_images_are_told() -> None:
    assert text() == "0 images: nothing was judged\n"


def test_colours_are_a_second_signal_only() -> None:
    plain = text(*every_kind())
    painted = text(*every_kind(), what=asked(color=True))
    assert "\x1b" not in plain
    assert "\x1b[1;31merror  \x1b[0m" in painted
    assert re.sub(r"\x1b\[[\d;]*m", "", painted) == plain


def test_nothing_foreign_reaches_the_terminal() -> None:
    shown = text(*every_kind())
    assert is_harmless(shown)
    shown.encode()
    for name in HOSTILE:
        assert name.isprintable() == (name in shown)


def test_convert_is_advised_only_where_it_can_help() -> None:
    def advice(*findings: str, **changes: object) -> str:
        image = report("d.vhd", [finding(code) for code in findings], **changes)  # type: ignore[arg-type]
        return text(image)

    assert "`vhdtool convert d.vhd OUT.vhd` writes it" in advice("VHD003")
    assert "whole MiB; other errors stay" in advice("VHD003", "DSK113")
    assert "whole MiB\n" in advice("VHD003", "VHD014")
    assert "`vhdtool convert --align 20MiB d.vhd" in advice("VHD036", virtual_size=8 * MIB)
    assert "the raw or VHD disk in it" in advice(
        "VHD038", image_format=ImageFormat.XZ, open_error="xz", virtual_size=None
    )
    for silent in (
        advice("DSK113"),
        advice("VHD014"),
        advice("VHD003", open_error="no parent"),
        advice("VHD038", image_format=ImageFormat.VDI, open_error="VDI", virtual_size=None),
        text(report(findings=[finding("VHD003", severity=INFO)])),
    ):
        assert "vhdtool convert" not in silent
    assert "`vhdtool convert IMAGE OUT.vhd`" in text(report("a\nb.vhd", [finding("VHD003")]))
