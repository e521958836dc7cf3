"""Reports as text: for a terminal, and no worse without colours in a log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.report.advice import convert_advice
from vhdtool.report.outcome import judged_rules, plural, say_outcome, unread_parts
from vhdtool.report.places import say_evidence
from vhdtool.text import printable
from vhdtool.units import short_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vhdtool.report.render import Asked
    from vhdtool.rules.model import Finding, Report

_LABEL_WIDTH = 7  # warning, crashed, skipped
_STYLES = {
    "error": "1;31",
    "crashed": "1;31",
    "unread": "1;33",
    "skipped": "1;33",
    "warning": "1;33",
    "info": "1;36",
    "hint": "36",
    "clean": "32",
    "guest": "2",
    "name": "1",
    "place": "2",
}


def render(reports: Sequence[Report], asked: Asked) -> str:
    """Return each image's findings, worst first, and the totals where there are several."""
    lines: list[str] = []
    for report in reports:
        if lines:
            lines.append("")
        lines += _image(report, asked)
    if len(reports) != 1:
        outcome = say_outcome(reports, asked)
        lines += ["", f"{plural(len(reports), 'image')}: {_paint_outcome(outcome, asked)}"]
    example = next((report.findings[0] for report in reports if report.findings), None)
    if example is not None:
        lines.append(_hint(f"`vhdtool rule {example.rule.code}` explains such a finding", asked))
    return "\n".join(lines).lstrip("\n") + "\n"


def _image(report: Report, asked: Asked) -> Iterator[str]:
    headline = _paint("name", printable(str(report.path)), asked)
    if report.facts is not None:
        size = report.facts.virtual_size
        known = "of unknown size" if size is None else short_size(size)
        headline += f": {report.facts.format}, {known}, {_profiles(report, asked)}"
    outcome = say_outcome([report], asked)
    if outcome == "clean":
        yield f"{headline}: {_paint_outcome(outcome, asked)}"
        yield from _guest(report, asked)
        return
    yield headline
    yield from _guest(report, asked)
    for finding in report.findings:
        yield from _finding(finding, asked)
    for failure in report.failures:
        yield _labelled("crashed", f"{failure.code}: {printable(failure.error)}", asked)
    for part in unread_parts(report):
        yield _labelled("unread", part, asked)
    if report.error is not None:
        yield _labelled("unread", printable(report.error), asked)
    elif not judged_rules(report, asked):
        yield _labelled("skipped", "none of the selected rules is for this profile", asked)
    if report.error is None:
        yield outcome
    for advice in (report.hint and printable(report.hint), convert_advice(report)):
        if advice:
            yield _hint(advice, asked)


def _guest(report: Report, asked: Asked) -> Iterator[str]:
    if report.guest is not None and report.guest.summary:
        yield _labelled("guest", printable(report.guest.summary), asked)


def _profiles(report: Report, asked: Asked) -> str:
    word = "profile" if len(report.profiles) == 1 else "profiles"
    found = [profile for profile in report.profiles if profile not in asked.profiles]
    origin = "as named"
    if found:
        which = "" if len(found) == len(report.profiles) else f"{', '.join(found)} "
        is_read = report.facts is not None and report.facts.layout is not None
        origin = which + ("found from the disk" if is_read else "assumed")
    return f"{word} {', '.join(report.profiles)} ({origin})"


def _finding(finding: Finding, asked: Asked) -> Iterator[str]:
    name = _paint("name", f"{finding.rule.code} {finding.rule.name}", asked)
    yield _labelled(finding.severity, f"{name}: {printable(finding.hit.message)}", asked)
    evidence = say_evidence(finding.hit)
    if evidence:
        yield f"{'':{_LABEL_WIDTH}} {_paint('place', evidence, asked)}"


def _labelled(label: str, text: str, asked: Asked) -> str:
    return f"{_paint(label, f'{label:<{_LABEL_WIDTH}}', asked)} {text}"


def _hint(text: str, asked: Asked) -> str:
    return f"{_paint('hint', 'hint:', asked)} {text}"


def _paint_outcome(outcome: str, asked: Asked) -> str:
    return _paint("clean", outcome, asked) if outcome == "clean" else outcome


def _paint(style: str, text: str, asked: Asked) -> str:
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if asked.color else text
