"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vhdtool.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable


def among(*words: str) -> Callable[[str], list[str]]:
    """Return what tells a shell the words that an option may be completed with."""

    def complete(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return complete


Parent = Annotated[
    Path | None,
    typer.Option("--parent", metavar="FILE", help="The parent, instead of the one it names."),
]
ParentDirs = Annotated[
    list[Path] | None,
    typer.Option("--parent-dir", metavar="DIR", help="Look for parents here too. May be repeated."),
]
IgnoreBitmap = Annotated[
    bool,
    typer.Option(
        "--ignore-bitmap", help="Read blocks of dynamic VHDs whole, as qemu does, not by sector."
    ),
]
TextOrJson = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="text|json",
        help="How to print the answer.",
        autocompletion=among("text", "json"),
    ),
]
Progress = Annotated[
    str,
    typer.Option(
        "--progress",
        metavar="auto|json|none",
        help="How to show progress.",
        autocompletion=among("auto", "json", "none"),
    ),
]


def choice(name: str, value: str, allowed: tuple[str, ...]) -> str:
    """Return a value that is one of those allowed, in any case of letters.

    Raises:
        ConfigError: It is none of them.
    """
    lowered = value.lower()
    if lowered in allowed:
        return lowered
    from difflib import get_close_matches

    close = get_close_matches(lowered, allowed, 1)
    hint = f"did you mean {close[0]}?" if close else None
    raise ConfigError(f"{name}: {value!r} is none of {', '.join(allowed)}", hint=hint)
