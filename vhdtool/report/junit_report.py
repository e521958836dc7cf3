"""Reports as JUnit XML: a suite for each image, a test case for each rule that was judged.

The tests fail just when the command does: findings at or above --fail-on are failures, milder ones
are the output of a test that passed. Written by hand, since xml.etree takes longer to load.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vhdtool.report.outcome import NAME, is_unreadable, judged_rules, unread_parts
from vhdtool.report.places import say_evidence
from vhdtool.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vhdtool.report.render import Asked
    from vhdtool.rules.model import Finding, Report, Rule

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})


@dataclass(frozen=True, slots=True)
class _Case:
    """A test case; `outcome` is failure, error or skipped, None for passed."""

    name: str
    outcome: str | None = None
    kind: str = ""
    message: str = ""
    output: tuple[str, ...] = ()


def render(reports: Sequence[Report], asked: Asked) -> str:
    """Return one document, in ASCII, with a suite for each image."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    suites = [(report, [_readable(report, asked), *_judged(report, asked)]) for report in reports]
    totals = _totals([case for _, cases in suites for case in cases])
    lines.append(_open("testsuites", name=f"{NAME} check", **totals))
    for report, cases in suites:
        name = str(report.path)
        lines.append("  " + _open("testsuite", name=name, **_totals(cases)))
        for case in cases:
            lines += _case(name, case)
        lines.append("  </testsuite>")
    lines.append("</testsuites>")
    return "\n".join(lines).encode("ascii", "xmlcharrefreplace").decode() + "\n"


def _readable(report: Report, asked: Asked) -> _Case:
    """Whether the image could be read: an error where the command ends with that status."""
    unread = unread_parts(report) if report.error is None else [report.error]
    if not is_unreadable(report, asked):
        return _Case("readable", output=tuple(unread))
    hint = [] if report.hint is None else [f"hint: {report.hint}"]
    return _Case("readable", "error", "unreadable", unread[0], (*unread, *hint))


def _judged(report: Report, asked: Asked) -> Iterator[_Case]:
    whole = not unread_parts(report)
    crashes = {failure.code: failure.error for failure in report.failures}
    for rule in judged_rules(report, asked):
        found = [finding for finding in report.findings if finding.rule.code == rule.code]
        if rule.code in crashes:
            yield _Case(_name(rule), "error", "crashed", crashes[rule.code])
        elif found or whole:
            yield _found(rule, found, asked)
        else:
            yield _Case(_name(rule), "skipped", message="the image was read in part")


def _found(rule: Rule, found: Sequence[Finding], asked: Asked) -> _Case:
    output = tuple(_say(finding) for finding in found)
    least = asked.fail_on
    if least is None or not any(finding.severity.rank >= least.rank for finding in found):
        return _Case(_name(rule), output=output)
    worst = found[0]  # reports have the worst first
    return _Case(_name(rule), "failure", worst.severity, worst.hit.message, output)


def _name(rule: Rule) -> str:
    return f"{rule.code} {rule.name}"


def _say(finding: Finding) -> str:
    evidence = say_evidence(finding.hit)
    text = f"{finding.severity}: {finding.hit.message}"
    return f"{text} ({evidence})" if evidence else text


def _totals(cases: Sequence[_Case]) -> dict[str, str]:
    outcomes = [case.outcome for case in cases]
    return {
        "tests": str(len(cases)),
        "failures": str(outcomes.count("failure")),
        "errors": str(outcomes.count("error")),
        "skipped": str(outcomes.count("skipped")),
    }


def _case(suite: str, case: _Case) -> Iterator[str]:
    opening = _open("testcase", classname=suite, name=case.name)
    output = "\n".join(_escape(line) for line in case.output)
    if case.outcome is None and not output:
        yield f"    {opening[:-1]}/>"
        return
    yield f"    {opening}"
    if case.outcome is None:
        yield f"      <system-out>{output}</system-out>"
    else:
        kind = {"type": case.kind} if case.kind else {}
        yield (
            f"      {_open(case.outcome, **kind, message=case.message)}{output}</{case.outcome}>"
        )
    yield "    </testcase>"


def _open(tag: str, **attributes: str) -> str:
    words = (f' {name}="{_escape(value)}"' for name, value in attributes.items())
    return f"<{tag}{''.join(words)}>"


def _escape(text: str) -> str:
    """Escape for text and attributes; what XML 1.0 forbids is not printable either."""
    return printable(text).translate(_ENTITIES)
