"""Files of a guest as lines and as JSON, from the rows that `guest.browse` sends."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from vhdtool.report.sections import Field, Section
from vhdtool.text import printable
from vhdtool.units import human_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Row = Sequence[Any]

_LETTERS = {
    "file": "-",
    "directory": "d",
    "symlink": "l",
    "character device": "c",
    "block device": "b",
    "fifo": "p",
    "socket": "s",
}
_FIELDS = ("name", "kind", "size", "mode", "uid", "gid", "links", "modified", "inode", "target")


def short_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the names."""
    for name, *_ in rows:
        yield printable(name)


def long_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield kind and mode, links, owner, group, size, time and name, aligned, as `ls -ln` does."""
    table = []
    for name, kind, size, mode, uid, gid, links, modified, _, target in rows:
        arrow = "" if target is None else f" -> {printable(target)}"
        cells = (str(links), str(uid), str(gid), str(size))
        text = f"{time_text(modified)[:16].replace('T', ' ')} {printable(name)}{arrow}"
        table.append((mode_text(kind, mode), cells, text))
    widths = [max((len(cells[at]) for _, cells, _ in table), default=0) for at in range(4)]
    for permissions, cells, text in table:
        numbers = " ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        yield f"{permissions} {numbers} {text}"


def mode_text(kind: str, mode: int) -> str:
    """Write a kind and permission bits: `-rwsr-xr-x`."""
    letters = []
    for shift, special, mark in ((6, 0o4000, "s"), (3, 0o2000, "s"), (0, 0o1000, "t")):
        bits = mode >> shift
        execute = "x" if bits & 1 else "-"
        if mode & special:
            execute = mark if bits & 1 else mark.upper()
        letters.append(("r" if bits & 4 else "-") + ("w" if bits & 2 else "-") + execute)
    return _LETTERS.get(kind, "?") + "".join(letters)


def as_json(row: Row) -> dict[str, object]:
    """Return a row by its fields; a name whose bytes are no UTF-8 also has them in base64."""
    answer = dict(zip(_FIELDS, row, strict=True))
    answer["modified"] = time_text(row[7])
    for key in ("name", "target"):
        text = answer[key]
        if text is not None and not text.isprintable():
            raw = text.encode("utf-8", "surrogateescape")
            answer |= {key: printable(text), f"{key}_b64": b64encode(raw).decode()}
    return answer


def describe(path: str, filesystem: str, row: Row) -> Section:
    """Describe one file."""
    _, kind, size, mode, uid, gid, links, modified, inode, target = row
    fields = [
        Field("path", printable(path)),
        Field("kind", kind),
        Field("size", size, human_size(size)),
        Field("mode", f"{mode:04o}", f"{mode:04o} {mode_text(kind, mode)}"),
        Field("uid", uid),
        Field("gid", gid),
        Field("links", links),
        Field("modified", time_text(modified)),
        Field("inode", inode),
        Field("file_system", filesystem),
    ]
    if target is not None:
        fields.insert(2, Field("target", printable(target)))
    return Section("file", tuple(fields))


def time_text(seconds: int) -> str:
    """Write a time in UTC; one that no calendar has, as the number."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, OSError, ValueError):
        return f"@{seconds}"
