"""Reports as workflow commands of GitHub Actions."""

from __future__ import annotations

import re

import pytest

from tests.report.samples import (
    ERROR,
    HOSTILE,
    INFO,
    WARNING,
    asked,
    every_kind,
    finding,
    is_harmless,
    report,
    unreadable,
)
from vhdtool.report.render import render
from vhdtool.rules.model import FileLocation, Report
from vhdtool.text import printable

Command = tuple[str, dict[str, str], str]


def commands(*reports: Report) -> tuple[list[Command], str]:
    """Render, and read the lines as the runner does: level, properties, message; then the rest."""
    text = render(reports, "github", asked())
    assert is_harmless(text)
    *lines, summary = text.splitlines()
    return [parse(line) for line in lines], summary


def parse(line: str) -> Command:
    match = re.fullmatch(r"::(\w+) (.*?)::(.*)", line)
    assert match is not None, line
    level, words, message = match.groups()
    properties = dict(word.split("=", 1) for word in words.split(","))
    escapes = {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ","}

    def unescape(value: str) -> str:
        for code, character in escapes.items():
            value = value.replace(code, character)
        return value.replace("%25", "%")

    return level, {key: unescape(value) for key, value in properties.items()}, unescape(message)


def test_findings_are_annotations_with_a_title() -> None:
    place = FileLocation(48, 2)
    found, summary = commands(report("d.vhd", [finding("VHD007", "100% odd", place, b"\0\1")]))
    title = "VHD007 virtual-size-not-whole-mib"
    message = "100% odd (file offset 0x30, 2 bytes: 00 01)"
    assert found == [("error", {"file": "d.vhd", "title": title}, message)]
    assert summary == "vhdtool check: 1 image: 1 error"


def test_the_worst_of_all_images_are_first() -> None:
    found, summary = commands(
        report("a.vhd", [finding("VHD025"), finding("VHD014")], gaps=["a gap"]),
        report("b.vhd", [finding("VHD007")], crashed=["VHD009"]),
        unreadable("c.vhd"),
    )
    assert [(level, properties["title"][:6]) for level, properties, _ in found] == [
        ("error", "not re"),
        ("error", "VHD009"),
        ("error", "cannot"),
        ("error", "VHD007"),
        ("warning", "VHD014"),
        ("notice", "VHD025"),
    ]
    assert summary.startswith("vhdtool check: 3 images: 1 error, 1 warning, 1 info, 1 rule crashed")


@pytest.mark.parametrize("severity", [ERROR, WARNING, INFO])
@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_makes_a_command_of_its_own(name: str, severity: object) -> None:
    found = [finding(message=f"named {name}", severity=severity)]  # type: ignore[arg-type]
    ((_, properties, message),), _ = commands(report(name, found))
    assert properties["file"] == printable(name)
    assert message == f"named {printable(name)}"


def test_every_kind_of_report_is_commands_and_one_summary() -> None:
    found, summary = commands(*every_kind())
    assert len(found) > 20
    assert summary.startswith("vhdtool check: ")


def test_no_images_are_a_summary() -> None:
    assert commands() == ([], "vhdtool check: 0 images: nothing was judged")
