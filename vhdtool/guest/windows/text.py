"""Text files and times as Windows writes them."""

from __future__ import annotations

import codecs

# From 1601-01-01 to 1970-01-01, in the units of FILETIME.
_EPOCH = 116_444_736_000_000_000
_PER_SECOND = 10_000_000


def decode(data: bytes) -> str:
    """Decode by the mark at the start; without one as UTF-16 if it looks so, or as UTF-8."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    if len(data) >= 4 and data[1] == data[3] == 0 and data[0] and data[2]:
        return data.decode("utf-16-le", "replace")
    return data.decode("utf-8", "replace")


def text_lines(data: bytes) -> list[str]:
    """Split the text of a file at its line ends, and at nothing else."""
    lines = decode(data).replace("\r\n", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def filetime(data: bytes) -> int | None:
    """Read a FILETIME as seconds since 1970-01-01 UTC; None of 0 and of too few bytes."""
    if len(data) < 8:
        return None
    ticks = int.from_bytes(data[:8], "little")
    return None if ticks == 0 else (ticks - _EPOCH) // _PER_SECOND
