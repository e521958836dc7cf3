"""From reports to the answer that was asked for; each format is a module of its own."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vhdtool.rules.model import Profile, Report, Rule, Severity

FORMATS = ("text", "json", "sarif", "junit", "github")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a check was asked for; reports do not say it.

    Attributes:
        rules: The rules that were selected, in the order of their codes.
        fail_on: The least severity that makes a check fail, None for never.
        profiles: Those that the user named; what a report has besides was found from its disk.
        color: Whether the text may have ANSI colours.
    """

    rules: tuple[Rule, ...]
    fail_on: Severity | None
    profiles: tuple[Profile, ...] = ()
    color: bool = False


def render(reports: Sequence[Report], output_format: str, asked: Asked) -> str:
    """Return the answer in one of `FORMATS`; only the module of that one is loaded."""
    text: str = import_module(f"vhdtool.report.{output_format}_report").render(reports, asked)
    return text
