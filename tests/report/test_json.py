"""Reports as JSON, by the committed schema."""

from __future__ import annotations

import json
import os
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

import vhdtool.report
from tests.report.samples import (
    HOSTILE,
    INFO,
    RULES,
    WARNING,
    asked,
    every_kind,
    finding,
    guest,
    is_harmless,
    report,
    unreadable,
)
from vhdtool import __version__
from vhdtool.disk.facts import ImageFormat
from vhdtool.report.render import Asked, render
from vhdtool.report.rule_report import render_json
from vhdtool.rules.left_out import NOT_IMPLEMENTED
from vhdtool.rules.model import (
    DiskLocation,
    FileLocation,
    GuestLocation,
    Profile,
    RegistryLocation,
    Report,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMAS = Path(vhdtool.report.__file__).parent / "schema"


def schema(name: str) -> Any:
    return json.loads((SCHEMAS / name).read_text())


def answer(*reports: Report, what: Asked | None = None) -> Any:
    """Render, validate, and parse."""
    text = render(reports, "json", what or asked())
    assert text.isascii()
    assert is_harmless(text)
    parsed = json.loads(text)
    Draft202012Validator(schema("check-1.json")).validate(parsed)
    return parsed


def objects(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from objects(value)
    elif isinstance(node, list):
        for value in node:
            yield from objects(value)


@pytest.mark.parametrize("name", ["check-1.json", "rule-1.json"])
def test_schemas_are_sound_closed_and_described(name: str) -> None:
    whole = schema(name)
    Draft202012Validator.check_schema(whole)
    for node in objects(whole):
        if "properties" in node and "type" in node:
            assert node["additionalProperties"] is False
            assert set(node["required"]) >= set(node["properties"]) - {"path_b64"}
    image = whole["properties"] if name != "check-1.json" else whole["$defs"]["image"]["properties"]
    assert all("description" in field for field in image.values())


def test_the_schema_knows_every_format_and_profile() -> None:
    definitions = schema("check-1.json")["$defs"]
    known = definitions["image"]["properties"]["format"]["enum"]
    assert known == [*(str(kind) for kind in ImageFormat), None]
    assert definitions["profile"]["enum"] == [str(profile) for profile in Profile]


def test_every_kind_of_report_is_as_the_schema_says() -> None:
    shown = answer(*every_kind())
    assert shown["schema_version"] == 1
    assert shown["tool"] == {"name": "vhdtool", "version": __version__}
    assert shown["exit_status"] == 70
    assert len(shown["images"]) == len(every_kind())
    for node in ({**shown, "more": 1}, {**shown, "schema_version": 2}):
        assert not Draft202012Validator(schema("check-1.json")).is_valid(node)


def test_no_images_are_an_empty_list() -> None:
    assert answer()["images"] == []


def test_a_finding_is_whole() -> None:
    shown = answer(
        report(
            findings=[
                finding("VHD007", "odd size", FileLocation(48, 8), b"\0\xff"),
                finding("DSK112", "bad copy", DiskLocation(512, 92), severity=WARNING),
                finding("VHD025", "unknown"),
            ]
        )
    )
    image = shown["images"][0]
    assert image["findings"] == [
        {
            "code": "VHD007",
            "name": "virtual-size-not-whole-mib",
            "severity": "error",
            "message": "odd size",
            "location": {"kind": "file", "offset": 48, "length": 8},
            "evidence": "00ff",
        },
        {
            "code": "DSK112",
            "name": "bad-gpt-copy",
            "severity": "warning",
            "message": "bad copy",
            "location": {"kind": "disk", "offset": 512, "length": 92},
            "evidence": "",
        },
        {
            "code": "VHD025",
            "name": "creator-unknown",
            "severity": "info",
            "message": "unknown",
            "location": None,
            "evidence": "",
        },
    ]
    assert image["counts"] == shown["counts"] == {"error": 1, "warning": 1, "info": 1}
    assert image["format"] == "fixed VHD"
    assert image["file_size"] == image["virtual_size"] + 512


def test_places_in_the_guest_and_the_guest_itself_are_told() -> None:
    found = [
        finding("VHD003", location=GuestLocation("/etc/fstab\x07", 3)),
        finding("VHD003", location=RegistryLocation("SYSTEM", "Setup", "CmdLine")),
    ]
    (image,) = answer(report(findings=found, guest=guest(gaps=["a gap"])))["images"]
    assert [one["location"] for one in image["findings"]] == [
        {"kind": "guest", "path": r"/etc/fstab\x07", "line": 3},
        {"kind": "registry", "hive": "SYSTEM", "key": "Setup", "value": "CmdLine"},
    ]
    assert image["guest"] == {
        "system": "linux",
        "summary": "Debian GNU/Linux 12 (bookworm) on partition 1",
        "gaps": ["a gap"],
    }
    assert answer(report())["images"][0]["guest"] is None


def test_what_was_not_read_is_told() -> None:
    assert (
        answer(report(), what=asked(codes=["VHD003", "DSK102"]))["images"][0]["rules_judged"] == 1
    )
    shut, gone, crash = answer(
        report(open_error="bad", gaps=["a gap"]),
        unreadable(hint="look"),
        report(crashed=["VHD009"]),
    )["images"]
    assert (shut["open_error"], shut["gaps"], shut["error"]) == ("bad", ["a gap"], None)
    assert (gone["format"], gone["profiles"], gone["hint"]) == (None, [], "look")
    assert (gone["rules_judged"], shut["rules_judged"] > 40) == (0, True)
    assert gone["error"].startswith("cannot open gone.vhd")
    assert crash["failures"] == [{"code": "VHD009", "error": "KeyError: 'x'"}]


@pytest.mark.parametrize("name", HOSTILE)
def test_every_path_survives(name: str) -> None:
    image = answer(report(name))["images"][0]
    if "path_b64" in image:
        assert os.fsdecode(b64decode(image["path_b64"])) == name
    else:
        assert image["path"] == name
    image["path"].encode()


def test_profiles_say_which_were_found() -> None:
    named = Asked(asked().rules, None, (Profile.MARKETPLACE,))
    image = answer(report(profiles=(Profile.GEN2, Profile.MARKETPLACE)), what=named)["images"][0]
    assert image["profiles"] == ["azure-gen2", "marketplace"]
    assert image["profiles_found"] == ["azure-gen2"]


@pytest.mark.parametrize(
    ("fail_on", "status"), [(asked().fail_on, 0), (WARNING, 1), (INFO, 1), (None, 0)]
)
def test_the_exit_status_is_that_of_the_command(fail_on: Any, status: int) -> None:
    assert (
        answer(report(findings=[finding("VHD014")]), what=asked(fail_on))["exit_status"] == status
    )


def test_rules_are_as_their_schema_says() -> None:
    shown = json.loads(render_json((list(RULES.values()), NOT_IMPLEMENTED)))
    Draft202012Validator(schema("rule-1.json")).validate(shown)
    assert [rule["code"] for rule in shown["rules"]] == list(RULES)
