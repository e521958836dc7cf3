"""Reports as SARIF 2.1.0 (OASIS, errata 01), with what GitHub's code scanning asks for.

Images have no lines, so regions are bytes. A line number must not stand beside them (section
3.30.4), and would make GitHub's upload action read whole images to fingerprint their first line.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes

from vhdtool import __version__
from vhdtool.report.outcome import NAME, is_unreadable, unread_parts
from vhdtool.report.places import say_place
from vhdtool.rules.model import DiskLocation, FileLocation, GuestLocation, Severity
from vhdtool.rules.runner import BUG, UNREADABLE, exit_status
from vhdtool.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vhdtool.report.render import Asked
    from vhdtool.rules.model import Finding, Location, Report, Rule

Json = dict[str, object]

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_PROBLEM_SEVERITIES = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.INFO: "recommendation",
}
_FAMILIES = {
    "VHD": "container",
    "DSK": "partitions",
    "GEN": "guest",
    "LNX": "linux",
    "LGN": "linux",
    "WIN": "windows",
    "WGN": "windows",
    "ROL": "windows",
    "MKT": "marketplace",
}


def render(reports: Sequence[Report], asked: Asked) -> str:
    """Return a log with one run over all images."""
    indexes = {rule.code: index for index, rule in enumerate(asked.rules)}
    run = {
        "tool": {
            "driver": {
                "name": NAME,
                "version": __version__,
                "semanticVersion": __version__,
                "rules": [_rule(rule) for rule in asked.rules],
            }
        },
        "invocations": [_invocation(reports, asked, indexes)],
        # By URI, since no two may be alike and an image may have been given twice.
        "artifacts": list({_uri(report.path): _artifact(report) for report in reports}.values()),
        "results": [result for report in reports for result in _results(report, indexes)],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(rule: Rule) -> Json:
    documentation = rule.documentation
    parts = (
        ("What it checks", documentation.what),
        ("Why it matters", documentation.why),
        ("How to fix", documentation.fix),
        ("Source", documentation.source),
    )
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": rule.name.replace("-", " ")},
        "fullDescription": {"text": " ".join(documentation.what.split())},
        "help": {
            "text": "\n\n".join(f"{heading}:\n{text}" for heading, text in parts),
            "markdown": "\n\n".join(f"## {heading}\n\n{text}" for heading, text in parts),
        },
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {
            "tags": list(dict.fromkeys((_FAMILIES[rule.code[:3]], *sorted(rule.profiles)))),
            "problem.severity": _PROBLEM_SEVERITIES[rule.severity],
        },
    }


def _invocation(reports: Sequence[Report], asked: Asked, indexes: dict[str, int]) -> Json:
    status = exit_status(reports, asked.fail_on)
    return {
        "executionSuccessful": status not in (UNREADABLE, BUG),
        "exitCode": status,
        "toolExecutionNotifications": [
            notification
            for report in reports
            for notification in _notifications(report, asked, indexes)
        ],
    }


def _notifications(report: Report, asked: Asked, indexes: dict[str, int]) -> Iterator[Json]:
    def notify(level: str, text: str) -> Json:
        return {
            "level": level,
            "message": _message(text),
            "locations": [_location(report, None)],
        }

    if report.error is not None:
        hint = "" if report.hint is None else f" (hint: {report.hint})"
        yield notify("error", report.error + hint)
    level = "error" if is_unreadable(report, asked) else "warning"
    for part in unread_parts(report):
        yield notify(level, part)
    for failure in report.failures:
        rule = {"id": failure.code, "index": indexes[failure.code]}
        crash = notify("error", f"rule {failure.code} crashed: {failure.error}")
        yield {**crash, "associatedRule": rule}


def _artifact(report: Report) -> Json:
    artifact: Json = {"location": {"uri": _uri(report.path)}, "roles": ["analysisTarget"]}
    if report.facts is not None:
        artifact["length"] = report.facts.file_size
    return artifact


def _results(report: Report, indexes: dict[str, int]) -> Iterator[Json]:
    seen: Counter[str] = Counter()
    for finding in report.findings:
        rule, hit = finding.rule, finding.hit
        seen[rule.code] += 1
        yield {
            "ruleId": rule.code,
            "ruleIndex": indexes[rule.code],
            "level": _LEVELS[finding.severity],
            "message": _message(hit.message),
            "locations": [_location(report, hit.location)],
            "partialFingerprints": {
                "primaryLocationLineHash": _fingerprint(report, finding, seen[rule.code])
            },
            "properties": {"evidence": hit.evidence.hex()},
        }


def _location(report: Report, location: Location | None) -> Json:
    """Point at an image and at bytes of its file, or at what is in it.

    Bytes of its disk are in `properties`; a file or a registry key of the guest is a logical
    location, since no viewer could open it.
    """
    physical: Json = {"artifactLocation": {"uri": _uri(report.path)}}
    if location is None:
        return {"physicalLocation": physical}
    answer: Json = {"physicalLocation": physical, "message": _message(say_place(location))}
    if isinstance(location, FileLocation):
        physical["region"] = {"byteOffset": location.offset, "byteLength": location.length}
    elif isinstance(location, DiskLocation):
        answer["properties"] = {"diskOffset": location.offset, "diskLength": location.length}
    elif isinstance(location, GuestLocation):
        path = printable(location.path)
        answer["logicalLocations"] = [{"fullyQualifiedName": path, "kind": "resource"}]
        answer["properties"] = {"guestPath": path}
        if location.line is not None:
            answer["properties"] = {"guestPath": path, "guestLine": location.line}
    else:
        name = printable(rf"{location.hive}\{location.key}")
        kind = "object"
        if location.value is not None:
            name, kind = rf"{name}\{printable(location.value)}", "value"
        answer["logicalLocations"] = [{"fullyQualifiedName": name, "kind": kind}]
    return answer


def _message(text: str) -> Json:
    """Escape what has a meaning in a message: braces (section 3.11.5) and links (3.11.6)."""
    text = printable(text).replace("{", "{{").replace("}", "}}")
    return {"text": text.replace("](", "] (")}


def _uri(path: Path) -> str:
    """Return a path below the current folder as a relative reference, any other as a file URI."""
    if path.is_absolute():
        if not path.is_relative_to(Path.cwd()):
            return path.as_uri()
        path = path.relative_to(Path.cwd())
    return quote_from_bytes(os.fsencode(path.as_posix()))


def _fingerprint(report: Report, finding: Finding, number: int) -> str:
    """Identify a finding by file name, rule and its number: those stay when an image is rebuilt.

    GitHub looks at one key only, whose values look like this.
    """
    identity = os.fsencode(report.path.name) + b"\0" + finding.rule.code.encode()
    return f"{hashlib.sha256(identity).hexdigest()[:16]}:{number}"
