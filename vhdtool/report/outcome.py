"""What came out of a check, counted and put into a few words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.rules.model import Severity, Subject
from vhdtool.rules.runner import UNREADABLE, exit_status
from vhdtool.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vhdtool.report.render import Asked
    from vhdtool.rules.model import Report, Rule

NAME = "vhdtool"


def count(reports: Sequence[Report]) -> dict[Severity, int]:
    """Count findings by severity, the worst first."""
    counts = dict.fromkeys((Severity.ERROR, Severity.WARNING, Severity.INFO), 0)
    for report in reports:
        for finding in report.findings:
            counts[finding.severity] += 1
    return counts


def judged_rules(report: Report, asked: Asked) -> list[Rule]:
    """Return the rules that were run over an image: those selected that are for what it is."""
    if report.facts is None:
        return []
    subjects = {Subject.DISK}
    if report.guest is not None:
        subjects.update(report.guest.subjects)
    return [
        rule
        for rule in asked.rules
        if rule.subject in subjects
        and (not rule.profiles or rule.profiles.intersection(report.profiles))
    ]


def unread_parts(report: Report) -> list[str]:
    """Return what could not be read of an image that was judged, a sentence each, printable."""
    if report.facts is None:
        return []
    facts = report.facts
    parts = [] if facts.open_error is None else [f"the disk cannot be read: {facts.open_error}"]
    guest = () if report.guest is None else report.guest.gaps
    return [printable(part) for part in (*parts, *facts.gaps, *guest)]


def is_unreadable(report: Report, asked: Asked) -> bool:
    """Whether the command ends with the status for images that cannot be read, for this one."""
    return exit_status([report], asked.fail_on) == UNREADABLE


def plural(number: int, word: str) -> str:
    """Write `1 error`, `2 errors`; info has no plural."""
    return f"{number} {word}" if number == 1 or word == "info" else f"{number} {word}s"


def say_outcome(reports: Sequence[Report], asked: Asked) -> str:
    """Write what came out of some images: `clean` only if all was read, judged and found good."""
    words = [plural(number, str(kind)) for kind, number in count(reports).items() if number]
    crashed = sum(len(report.failures) for report in reports)
    if crashed:
        words.append(f"{plural(crashed, 'rule')} crashed")
    readable = [report for report in reports if report.error is None]
    words += _say_images(len(reports) - len(readable), reports, "cannot be read")
    partly = sum(bool(unread_parts(report)) for report in readable)
    words += _say_images(partly, reports, "read in part")
    idle = sum(not judged_rules(report, asked) for report in readable)
    words += _say_images(idle, reports, "judged by no rule")
    return ", ".join(words) or ("clean" if reports else "nothing was judged")


def _say_images(number: int, reports: Sequence[Report], what: str) -> list[str]:
    if not number:
        return []
    return [what if len(reports) == 1 else f"{plural(number, 'image')} {what}"]
