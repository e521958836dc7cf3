"""Sizes: constants, rounding, and how they are written for people."""

from __future__ import annotations

import re

from vhdtool.errors import ConfigError

SECTOR_SIZE = 512
KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB

_SIZE = re.compile(r"(?P<number>\d+)\s*(?P<unit>[kmgt](?:i?b)?|b)?", re.IGNORECASE)
_FACTOR = {"": 1, "b": 1, "k": KIB, "m": MIB, "g": GIB, "t": TIB}


def align_up(value: int, alignment: int) -> int:
    """Return the least multiple of `alignment` that is not below `value`."""
    return -(-value // alignment) * alignment


def human_size(size: int) -> str:
    """Write a size in bytes with its binary unit: `41953280 bytes (40.0098 MiB)`."""
    for factor, unit in ((TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size >= factor:
            return f"{size} bytes ({size / factor:.6g} {unit})"
    return f"{size} bytes"


def short_size(size: float) -> str:
    """Write a size for a table or a progress line: `1.5 GiB`."""
    for factor, unit in ((TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size:.0f} B"


def parse_size(text: str) -> int:
    """Read `1MiB`, `1M`, `40 GiB` or a plain number of bytes; units are powers of 1024.

    Raises:
        ConfigError: The text is no size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ConfigError(
            f"not a size: {text!r}", hint="write a whole number with a unit, such as 1MiB or 40GiB"
        )
    unit = (match["unit"] or "")[:1].lower()
    return int(match["number"]) * _FACTOR[unit]
