"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vhdtool.errors import ConfigError

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
