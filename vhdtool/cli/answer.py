"""Where an answer goes, and how it looks there."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def wants_color() -> bool:
    """Whether stdout takes colour: on a terminal, unless the environment says otherwise."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def put_answer(text: str, path: Path | None) -> None:
    """Print an answer, or write it to a file that appears whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    if not text.endswith("\n"):
        text += "\n"
    if path is None:
        sys.stdout.write(text)
        return
    from vhdtool.disk.output import writing

    data = text.encode(errors="backslashreplace")
    if path.exists() and not path.is_file():
        with path.open("wb") as file:  # a pipe or a device
            file.write(data)
        return
    with writing(path) as output:
        output.write_at(0, data)
        output.commit(replace=True)
