"""Hits that point at a registry value, an element of boot data, or a file of the guest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.rules.evidence import MOST_EVIDENCE
from vhdtool.rules.model import GuestLocation, Hit, RegistryLocation
from vhdtool.text import printable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from vhdtool.guest.registry import Key, Registry, Value
    from vhdtool.guest.windows.boot import BootObject
    from vhdtool.rules.model import Severity

_SHOWN_NAMES = 3
_SHOWN_BYTES = 16


def value_hit(
    registry: Registry, path: str, name: str, message: str, severity: Severity | None = None
) -> Hit:
    """Hit a value of the key at a path; it may be missing."""
    value = registry.value(path, name)
    evidence = b"" if value is None else value.data[:MOST_EVIDENCE]
    location = RegistryLocation(registry.name, registry.resolved(path), name)
    return Hit(message, location, evidence, severity)


def key_hit(
    key: Key, message: str, name: str | None = None, severity: Severity | None = None
) -> Hit:
    """Hit a key, or a value of it."""
    value = None if name is None else key.value(name)
    evidence = b"" if value is None else value.data[:MOST_EVIDENCE]
    return Hit(message, RegistryLocation(key.registry.name, key.path, name), evidence, severity)


def element_hit(
    found: BootObject, element: int, message: str, severity: Severity | None = None
) -> Hit:
    """Hit an element of an object of boot data; it may be missing."""
    evidence = (found.raw(element) or b"")[:MOST_EVIDENCE]
    location = RegistryLocation("BCD", found.path(element), "Element")
    return Hit(message, location, evidence, severity)


def file_hit(
    path: str,
    message: str,
    line: int | None = None,
    text: str = "",
    severity: Severity | None = None,
) -> Hit:
    """Hit a file, or a line of it with its text."""
    evidence = text.encode("utf-8", "replace")[:MOST_EVIDENCE]
    return Hit(message, GuestLocation(path, line), evidence, severity)


def quoted(text: str, most: int = 80) -> str:
    """Return foreign text for a message, in one line and not too long."""
    shown = printable(text[:most])
    return f"{shown}..." if len(text) > most else shown


def listed(names: Sequence[str]) -> str:
    """List a few names: `a, b, c and 4 more`."""
    shown = ", ".join(quoted(name) for name in names[:_SHOWN_NAMES])
    more = len(names) - _SHOWN_NAMES
    return f"{shown} and {more} more" if more > 0 else shown


def described(value: Value | None) -> str:
    """Say what a value is: `is 4`, `is "text"`, `is not set`."""
    if value is None:
        return "is not set"
    match value.decoded:
        case int(number):
            return f"is {number}"
        case str(text):
            return f'is "{quoted(text)}"'
        case bytes(data):
            more = "..." if len(data) > _SHOWN_BYTES else ""
            return f"is {data[:_SHOWN_BYTES].hex(' ')}{more}" if data else "is empty"
        case strings:
            return f'is "{quoted(", ".join(strings))}"' if strings else "is empty"


def expect_number(
    registry: Registry | None,
    path: str,
    name: str,
    wanted: int | Collection[int],
    *,
    required: bool = False,
    severity: Severity | None = None,
) -> list[Hit]:
    """Hit a number that is not what is wanted; a missing one only where it is required."""
    if registry is None:
        return []
    value = registry.value(path, name)
    good = (wanted,) if isinstance(wanted, int) else tuple(wanted)
    if (value is None and not required) or (value is not None and value.number in good):
        return []
    expected = " or ".join(str(number) for number in good)
    message = f"{name} {described(value)}, expected {expected}"
    return [value_hit(registry, path, name, message, severity)]
