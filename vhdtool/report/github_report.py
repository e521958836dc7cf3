"""Reports as workflow commands, which GitHub Actions turns into annotations.

GitHub, "Workflow commands for GitHub Actions"; how values are escaped: actions/toolkit,
packages/core/src/command.ts. It shows 10 annotations of each level for a step: the worst are first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.report.outcome import NAME, is_unreadable, plural, say_outcome, unread_parts
from vhdtool.report.places import say_evidence
from vhdtool.rules.model import Severity
from vhdtool.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vhdtool.report.render import Asked
    from vhdtool.rules.model import Finding, Report

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = _DATA | str.maketrans({":": "%3A", ",": "%2C"})


def render(reports: Sequence[Report], asked: Asked) -> str:
    """Return a command for each finding and failure of all images, then a line of totals."""
    lines = [line for report in reports for line in _failures(report, asked)]
    found = [(report, finding) for report in reports for finding in report.findings]
    found.sort(key=lambda pair: -pair[1].severity.rank)
    lines += [_finding(report, finding) for report, finding in found]
    total = f"{plural(len(reports), 'image')}: {say_outcome(reports, asked)}"
    return "\n".join([*lines, f"{NAME} check: {total}"]) + "\n"


def _failures(report: Report, asked: Asked) -> Iterator[str]:
    """Yield why not everything is known; a warning if a finding explains it anyway."""
    if report.error is not None:
        yield _command("error", report, "cannot be read", report.error)
    for failure in report.failures:
        yield _command("error", report, f"{failure.code} crashed", failure.error)
    level = "error" if is_unreadable(report, asked) else "warning"
    for part in unread_parts(report):
        yield _command(level, report, "not read", part)


def _finding(report: Report, finding: Finding) -> str:
    title = f"{finding.rule.code} {finding.rule.name}"
    evidence = say_evidence(finding.hit)
    message = finding.hit.message + (f" ({evidence})" if evidence else "")
    return _command(_LEVELS[finding.severity], report, title, message)


def _command(level: str, report: Report, title: str, message: str) -> str:
    file = printable(str(report.path)).translate(_PROPERTY)
    return f"::{level} file={file},title={title}::{printable(message).translate(_DATA)}"
