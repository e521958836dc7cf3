"""Where a finding is and what stands there, in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vhdtool.report.outcome import plural
from vhdtool.rules.model import DiskLocation, GuestLocation, RegistryLocation
from vhdtool.text import printable

if TYPE_CHECKING:
    from vhdtool.rules.model import Hit, Location

_MOST_BYTES = 16
_MOST_CHARACTERS = 64
# A cookie or the like among the bytes; shorter runs are mostly chance.
_READABLE = re.compile(rb"[ -~]{4}")


def say_place(location: Location) -> str:
    r"""Write a location: `file offset 0x28003c, 4 bytes`, `/etc/fstab, line 3`, `SYSTEM\Setup`."""
    if isinstance(location, GuestLocation):
        line = "" if location.line is None else f", line {location.line}"
        return printable(location.path) + line
    if isinstance(location, RegistryLocation):
        value = "" if location.value is None else f", value {location.value or '(default)'}"
        key = f"\\{location.key}" if location.key else ""
        return printable(f"{location.hive}{key}{value}")
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
    """Write where a hit is and what stands there; empty where neither is known."""
    place = "" if hit.location is None else say_place(hit.location)
    if not hit.evidence:
        return place
    shown = _show(hit.evidence, hit.location)
    return f"{place}: {shown}" if place else shown


def _show(evidence: bytes, location: Location | None) -> str:
    """Write evidence: of a guest as the text that it mostly is, of an image in hex."""
    if not isinstance(location, GuestLocation | RegistryLocation):
        length = len(evidence)
        return show_bytes(evidence, length if location is None else max(length, location.length))
    try:
        text = evidence.decode().strip()
    except UnicodeDecodeError:
        return show_bytes(evidence, len(evidence))
    if not text.replace("\t", " ").isprintable():
        return show_bytes(evidence, len(evidence))
    return text.replace("\t", " ")[:_MOST_CHARACTERS]
