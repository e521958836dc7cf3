"""Hits that point at a field and show its bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vhdtool.rules.model import DiskLocation, FileLocation, Hit

if TYPE_CHECKING:
    from vhdtool.disk.facts import Located
    from vhdtool.rules.model import Severity

MOST_EVIDENCE = 64


def counted(count: int, one: str, many: str) -> str:
    """Write a count with its noun: `1 block ends`, `2 blocks end`."""
    return f"{count} {one if count == 1 else many}"


def field_hit(
    message: str,
    structure: Located[Any],
    offset: int,
    length: int,
    severity: Severity | None = None,
) -> Hit:
    """Hit the `length` bytes at `offset` of a structure of the image file."""
    evidence = structure.raw[offset : offset + min(length, MOST_EVIDENCE)]
    location = FileLocation(structure.offset + offset, length)
    return Hit(message, location, evidence, severity)


def disk_hit(
    message: str, offset: int, data: bytes, length: int = 0, severity: Severity | None = None
) -> Hit:
    """Hit bytes of the virtual disk; `data` is what stands at `offset`."""
    evidence = data[:MOST_EVIDENCE]
    return Hit(message, DiskLocation(offset, length or len(data)), evidence, severity)
