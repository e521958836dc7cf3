"""Keys and values of a registry as lines, from what `guest.hives` sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vhdtool.report.listing import time_text
from vhdtool.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_CHARACTERS = 200


def key_lines(key: dict[str, Any]) -> Iterator[str]:
    """Yield a key: its path and time, its values as a table, the names of its subkeys."""
    path = "\\".join(part for part in (key["hive"], key["path"]) if part)
    yield f"{printable(path)}  ({time_text(key['modified'])})"
    table = [
        (printable(value["name"] or "(default)"), value["type"], _short(value))
        for value in key["values"]
    ]
    widths = [max((len(row[at]) for row in table), default=0) for at in range(2)]
    for name, kind, data in table:
        yield f"  {name:<{widths[0]}}  {kind:<{widths[1]}}  {data}".rstrip()
    for name in key["subkeys"]:
        yield f"  {printable(name)}\\"


def value_lines(value: dict[str, Any]) -> Iterator[str]:
    """Yield the data of one value, whole."""
    data = value["data"]
    for line in data if isinstance(data, list) else [data]:
        yield printable(str(line))


def _short(value: dict[str, Any]) -> str:
    data = value["data"]
    if isinstance(data, int):
        return f"{data} ({data:#x})"
    text = printable(" | ".join(data) if isinstance(data, list) else data)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}..."
