"""Reports as JSON, by `schema/check-1.json`. Changes that break a reader raise SCHEMA_VERSION."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from vhdtool import __version__
from vhdtool.report.outcome import NAME, count, judged_rules
from vhdtool.rules.model import DiskLocation, GuestLocation, RegistryLocation
from vhdtool.rules.runner import exit_status
from vhdtool.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vhdtool.report.render import Asked
    from vhdtool.rules.model import Finding, GuestOutcome, Location, Report

SCHEMA_VERSION = 1

Json = dict[str, object]


def render(reports: Sequence[Report], asked: Asked) -> str:
    """Return every report whole, and the counts of all."""
    answer = {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": NAME, "version": __version__},
        "exit_status": exit_status(reports, asked.fail_on),
        "counts": count(reports),
        "images": [_image(report, asked) for report in reports],
    }
    return json.dumps(answer, indent=2) + "\n"


def _image(report: Report, asked: Asked) -> Json:
    facts = report.facts
    return {
        **_path(report.path),
        "format": None if facts is None else str(facts.format),
        "file_size": None if facts is None else facts.file_size,
        "virtual_size": None if facts is None else facts.virtual_size,
        "sector_size": None if facts is None else facts.sector_size,
        "profiles": list(report.profiles),
        "profiles_found": [name for name in report.profiles if name not in asked.profiles],
        "rules_judged": len(judged_rules(report, asked)),
        "counts": count([report]),
        "findings": [_finding(finding) for finding in report.findings],
        "failures": [
            {"code": failure.code, "error": printable(failure.error)} for failure in report.failures
        ],
        "open_error": _text(None if facts is None else facts.open_error),
        "gaps": [] if facts is None else [printable(gap) for gap in facts.gaps],
        "guest": None if report.guest is None else _guest(report.guest),
        "error": _text(report.error),
        "hint": _text(report.hint),
    }


def _path(path: Path) -> Json:
    """Return a path as text; one whose bytes are no UTF-8 also has them in base64."""
    raw = os.fsencode(path)
    text = raw.decode(errors="backslashreplace")
    if text == str(path):
        return {"path": text}
    from base64 import b64encode

    return {"path": text, "path_b64": b64encode(raw).decode()}


def _finding(finding: Finding) -> Json:
    hit = finding.hit
    return {
        "code": finding.rule.code,
        "name": finding.rule.name,
        "severity": str(finding.severity),
        "message": printable(hit.message),
        "location": None if hit.location is None else _location(hit.location),
        "evidence": hit.evidence.hex(),
    }


def _location(location: Location) -> Json:
    if isinstance(location, GuestLocation):
        return {"kind": "guest", "path": printable(location.path), "line": location.line}
    if isinstance(location, RegistryLocation):
        return {
            "kind": "registry",
            "hive": location.hive,
            "key": printable(location.key),
            "value": _text(location.value),
        }
    kind = "disk" if isinstance(location, DiskLocation) else "file"
    return {"kind": kind, "offset": location.offset, "length": location.length}


def _guest(guest: GuestOutcome) -> Json:
    return {
        "system": guest.system,
        "summary": printable(guest.summary),
        "gaps": [printable(gap) for gap in guest.gaps],
    }


def _text(text: str | None) -> str | None:
    return None if text is None else printable(text)
