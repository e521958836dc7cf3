"""Where a finding is and what stands there, in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vhdtool.report.outcome import plural
from vhdtool.rules.model import DiskLocation

if TYPE_CHECKING:
    from vhdtool.rules.model import Hit, Location

_MOST_BYTES = 16
# A cookie or the like among the bytes; shorter runs are mostly chance.
_READABLE = re.compile(rb"[ -~]{4}")


def say_place(location: Location) -> str:
    """Write a location: `file offset 0x28003c, 4 bytes`."""
    kind = "disk" if isinstance(location, DiskLocation) else "file"
    return f"{kind} offset {location.offset:#x}, {plural(location.length, 'byte')}"


def show_bytes(data: bytes, length: int) -> str:
    """Write the first of `length` bytes in hex, and as text too if there is some in them."""
    shown = data[:_MOST_BYTES]
    text = shown.hex(" ")
    if _READABLE.search(shown):
        characters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in shown)
        text += f" |{characters}|"
    return text if len(shown) == length else f"{text} ..."


def say_evidence(hit: Hit) -> str:
    """Write where a hit is and the bytes that show it; empty where neither is known."""
    length = len(hit.evidence)
    place = ""
    if hit.location is not None:
        place = say_place(hit.location)
        length = max(length, hit.location.length)
    if not hit.evidence:
        return place
    shown = show_bytes(hit.evidence, length)
    return f"{place}: {shown}" if place else shown
