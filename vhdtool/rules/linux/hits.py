"""Hits that point at a file of the guest, or at a line of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.rules.evidence import MOST_EVIDENCE
from vhdtool.rules.model import GuestLocation, Hit
from vhdtool.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vhdtool.guest.linux.files import Files, Line
    from vhdtool.rules.model import Severity

_SHOWN = 3


def line_hit(message: str, line: Line, severity: Severity | None = None) -> Hit:
    """Hit a line of a file."""
    evidence = line.text.encode("utf-8", "surrogateescape")[:MOST_EVIDENCE]
    return Hit(message, GuestLocation(line.path, line.number), evidence, severity)


def path_hit(
    message: str, path: str, severity: Severity | None = None, evidence: bytes = b""
) -> Hit:
    """Hit a file or a folder, which may be missing."""
    return Hit(message, GuestLocation(path), evidence[:MOST_EVIDENCE], severity)


def quoted(text: str, most: int = 80) -> str:
    """Return foreign text for a message, in one line; of a long one the start and the end."""
    half = (most - 3) // 2
    return printable(text if len(text) <= most else f"{text[:half]}...{text[-half:]}")


def listed(names: Sequence[str]) -> str:
    """List a few names: `a, b, c and 4 more`."""
    shown = ", ".join(quoted(name) for name in names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown


def filled(files: Files, paths: Sequence[str]) -> list[str]:
    """Return those of some files that are there and not empty."""
    return [path for path in paths if files.size(path)]


def below(files: Files, folders: Sequence[str]) -> list[str]:
    """Return what some folders hold, one level deep."""
    return [path for folder in folders for path in files.paths(folder)]
