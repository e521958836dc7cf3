"""Reports as JUnit XML."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from tests.report.samples import (
    ERROR,
    HOSTILE,
    INFO,
    WARNING,
    asked,
    every_kind,
    finding,
    report,
    unreadable,
)
from vhdtool.report.render import Asked, render
from vhdtool.rules.model import FileLocation, Profile, Report, Severity
from vhdtool.rules.runner import exit_status
from vhdtool.text import printable

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def suites(*reports: Report, what: Asked | None = None) -> Element:
    """Render, parse, and see that the counts are those of the cases."""
    text = render(reports, "junit", what or asked())
    assert text.isascii()
    root = ElementTree.fromstring(text.encode())
    for node in (root, *root):
        assert int(node.attrib["tests"]) == len(list(node.iter("testcase")))
        for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(node.attrib[key]) == len(list(node.iter(tag)))
    return root


def case(root: Element, code: str) -> Element:
    (found,) = [node for node in root.iter("testcase") if node.attrib["name"].startswith(code)]
    return found


def test_there_is_a_suite_for_each_image_and_a_case_for_each_rule_judged() -> None:
    what = asked(codes=["DSK101", "VHD003", "VHD007"])
    root = suites(report("a.vhd"), report("b.vhd", profiles=(Profile.GEN1,)), what=what)
    cases = {
        suite.attrib["name"]: [node.attrib["name"] for node in suite.iter("testcase")]
        for suite in root
    }
    assert cases == {
        "a.vhd": ["readable", "VHD003 dynamic-disk", "VHD007 virtual-size-not-whole-mib"],
        "b.vhd": [
            "readable",
            "DSK101 gpt-on-generation-1",
            "VHD003 dynamic-disk",
            "VHD007 virtual-size-not-whole-mib",
        ],
    }
    assert all(len(node) == 0 for node in root.iter("testcase"))


def test_findings_that_count_are_failures_and_milder_ones_output() -> None:
    found = [
        finding("VHD007", "odd size", FileLocation(48, 8), bytes(8)),
        finding("VHD007", "another", severity=WARNING),
        finding("VHD014", "sizes differ"),
        finding("VHD025", "unknown"),
    ]
    root = suites(report(findings=found), what=asked(WARNING))
    (failure,) = case(root, "VHD007")
    assert failure.attrib == {"type": "error", "message": "odd size"}
    assert failure.text == (
        "error: odd size (file offset 0x30, 8 bytes: 00 00 00 00 00 00 00 00)\nwarning: another"
    )
    assert [node.tag for node in case(root, "VHD014")] == ["failure"]
    (output,) = case(root, "VHD025")
    assert (output.tag, output.text) == ("system-out", "info: unknown")


@pytest.mark.parametrize("fail_on", [ERROR, WARNING, INFO, None])
@pytest.mark.parametrize("image", every_kind()[:8])
def test_tests_fail_just_when_the_command_does(image: Report, fail_on: Severity | None) -> None:
    root = suites(image, what=asked(fail_on))
    is_red = root.attrib["failures"] != "0" or root.attrib["errors"] != "0"
    assert is_red == (exit_status([image], fail_on) != 0)


def test_an_image_that_cannot_be_read_is_an_error() -> None:
    root = suites(unreadable(hint="look"))
    assert len(list(root.iter("testcase"))) == 1
    (error,) = case(root, "readable")
    assert error.attrib["message"] == "cannot open gone.vhd: no such file"
    assert error.text == "cannot open gone.vhd: no such file\nhint: look"


def test_rules_without_a_finding_are_not_passed_if_the_image_was_read_in_part() -> None:
    root = suites(report(findings=[finding("VHD007")], open_error="bad"))
    assert [node.tag for node in case(root, "VHD007")] == ["failure"]
    assert [node.tag for node in case(root, "VHD003")] == ["skipped"]
    assert [node.tag for node in case(root, "readable")] == ["system-out"]


def test_a_rule_that_crashed_is_an_error() -> None:
    (error,) = case(suites(report(crashed=["VHD009"])), "VHD009")
    assert error.attrib == {"type": "crashed", "message": "KeyError: 'x'"}


@pytest.mark.parametrize("name", HOSTILE)
def test_every_name_is_escaped(name: str) -> None:
    root = suites(report(name, [finding(message=f"named {name}")]))
    assert root[0].attrib["name"] == printable(name)
    (failure,) = case(root, "VHD007")
    assert failure.attrib["message"] == f"named {printable(name)}"


def test_no_images_are_no_suites() -> None:
    assert len(suites()) == 0
