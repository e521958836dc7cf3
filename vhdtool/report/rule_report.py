"""Rules themselves as a page, a table, or JSON by `schema/rule-1.json`."""

from __future__ import annotations

import json
import re
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from vhdtool.rules.model import Rule

# Rules, and of those of the catalogue that are left out the reasons by code.
Catalogue = tuple["Sequence[Rule]", "Mapping[str, str]"]

SCHEMA_VERSION = 1

_MOST_COLUMNS = 100  # longer lines are hard to read
_LEAST_COLUMNS = 40
_CODE_SPAN = re.compile(r"`[^`]+`")
_UNBROKEN = "\N{NO-BREAK SPACE}"  # textwrap breaks at ASCII blanks only


def render_text(catalogue: Catalogue, columns: int) -> str:
    """Return one rule in full or several as a table, for a terminal of so many columns."""
    rules, left_out = catalogue
    if len(rules) == 1 and not left_out:
        return "\n".join(_page(rules[0], columns)) + "\n"
    lines = [*_table(rules)]
    if rules and left_out:
        lines.append("")
    if left_out:
        lines += _left_out(left_out, columns)
    return "\n".join(lines) + "\n"


def render_json(catalogue: Catalogue) -> str:
    """Return the same, rules and what is left out, for programs."""
    rules, left_out = catalogue
    answer = {
        "schema_version": SCHEMA_VERSION,
        "rules": [_as_json(rule) for rule in rules],
        "left_out": [{"code": code, "reason": reason} for code, reason in left_out.items()],
    }
    return json.dumps(answer, indent=2) + "\n"


def _as_json(rule: Rule) -> dict[str, object]:
    return {
        "code": rule.code,
        "name": rule.name,
        "severity": str(rule.severity),
        "profiles": sorted(rule.profiles),
        "since": rule.since,
        "what": rule.documentation.what,
        "why": rule.documentation.why,
        "fix": rule.documentation.fix,
        "source": rule.documentation.source,
    }


def _page(rule: Rule, columns: int) -> Iterator[str]:
    yield f"{rule.code} {rule.name}"
    yield ""
    yield f"Severity  {rule.severity}"
    yield f"Profiles  {_profiles(rule)}"
    yield f"Since     {rule.since}"
    documentation = rule.documentation
    for heading, text in (
        ("What it checks", documentation.what),
        ("Why it matters", documentation.why),
        ("How to fix", documentation.fix),
        ("Source", documentation.source),
    ):
        yield ""
        yield heading
        for paragraph in _paragraphs(text):
            yield from _wrap(paragraph, columns, "  ")


def _table(rules: Sequence[Rule]) -> Iterator[str]:
    if not rules:
        return
    width = max(len(rule.name) for rule in rules)
    yield f"{'code':<6}  {'severity':<8}  {'name':<{width}}  profiles"
    for rule in rules:
        yield f"{rule.code}  {rule.severity:<8}  {rule.name:<{width}}  {_profiles(rule)}"


def _left_out(left_out: Mapping[str, str], columns: int) -> Iterator[str]:
    yield "In the catalogue but left out of this version:"
    for reason in dict.fromkeys(left_out.values()):
        codes = [code for code, why in left_out.items() if why == reason]
        yield from _wrap(f"- {', '.join(codes)}: {reason}", columns)


def _profiles(rule: Rule) -> str:
    return ", ".join(sorted(rule.profiles)) or "all"


def _paragraphs(text: str) -> Iterator[str]:
    """Join lines up to the next list item or empty line."""
    lines: list[str] = []
    for line in text.splitlines():
        if lines and (not line or line.startswith("- ")):
            yield " ".join(lines)
            lines = []
        if line:
            lines.append(line)
    if lines:
        yield " ".join(lines)


def _wrap(text: str, columns: int, indent: str = "") -> list[str]:
    """Wrap to the terminal, list items hanging, commands in backticks kept on one line."""
    hanging = indent + ("  " if text.startswith("- ") else "")
    lines = textwrap.wrap(
        _CODE_SPAN.sub(lambda match: match[0].replace(" ", _UNBROKEN), text),
        max(_LEAST_COLUMNS, min(columns, _MOST_COLUMNS)),
        initial_indent=indent,
        subsequent_indent=hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_UNBROKEN, " ") for line in lines]
