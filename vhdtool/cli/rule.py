"""`vhdtool rule`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Annotated

import typer

from vhdtool.cli.options import TextOrJson, choice
from vhdtool.errors import ConfigError

if TYPE_CHECKING:
    from vhdtool.report.rule_report import Catalogue

EXAMPLES = """\
Examples:
  vhdtool rule VHD007
  vhdtool rule dynamic-disk
  vhdtool rule DSK11
  vhdtool rule --all
  vhdtool rule --all --format json | jq -r '.rules[] | [.code, .name] | @tsv'"""


def _codes(incomplete: str) -> list[str]:
    """Return what a shell completes a code with."""
    from vhdtool.rules.registry import rules

    return [rule.code for rule in rules().values() if rule.code.startswith(incomplete)]


def run(
    *,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="RULE",
            help="A code, a name, or how codes begin.",
            show_default=False,
            autocompletion=_codes,
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="List every rule.")] = False,
    output_format: TextOrJson = "text",
) -> int:
    """Explain a rule of `check`: what it checks, why, how to fix it, and its source."""
    output_format = choice("--format", output_format, ("text", "json"))
    if every == (name is not None):
        raise ConfigError("name one rule, or --all", hint="`vhdtool rule --all` lists the rules")

    from vhdtool.report.rule_report import render_json, render_text

    catalogue = _find(name or "")
    if output_format == "json":
        print(render_json(catalogue), end="")
    else:
        print(render_text(catalogue, shutil.get_terminal_size().columns), end="")
    return 0


def _find(name: str) -> Catalogue:
    """Return the rules, there or left out, of that name or whose codes begin so.

    Raises:
        ConfigError: There are none.
    """
    from vhdtool.rules.left_out import NOT_IMPLEMENTED
    from vhdtool.rules.registry import rules

    known = rules()
    code, lowered = name.upper(), name.lower()
    found = [rule for rule in known.values() if rule.name == lowered]
    if found:
        return found, {}
    found = [rule for rule in known.values() if rule.code.startswith(code)]
    left_out = {key: why for key, why in NOT_IMPLEMENTED.items() if key.startswith(code)}
    if found or left_out:
        return found, left_out
    from difflib import get_close_matches

    names = [rule.name for rule in known.values()]
    close = get_close_matches(code, known) or get_close_matches(lowered, names, 2)
    hint = f"did you mean {' or '.join(close)}?" if close else "`vhdtool rule --all` lists them"
    raise ConfigError(f"no rule is called {name!r}", hint=hint)
