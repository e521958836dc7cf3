"""/etc/fstab: what a Linux guest mounts where.

Source: fstab(5) of util-linux; blanks in a field are octal escapes, as getmntent(3) has them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Real files have a dozen lines; a hostile one could have a million.
MAX_LINES = 10_000
_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class FstabEntry:
    """One line.

    Attributes:
        line: Its number, from 1.
        device: `UUID=...`, `/dev/sda1`, `tmpfs`, as written, without quotes.
        folder: Where it is mounted; `none` or `swap` for what is not.
        kind: The type of the file system, `auto`, `swap`, `none`.
        options: As written, split at commas.
        dump: The fifth field, "" where it is missing.
        check: The sixth field, "" where it is missing.
        text: The whole line.
    """

    line: int
    device: str
    folder: str
    kind: str
    options: tuple[str, ...]
    dump: str
    check: str
    text: str

    def option(self, name: str) -> str | None:
        """Return what stands behind `name=`, the last one counts; None where there is none."""
        values = [
            value for key, _, value in (o.partition("=") for o in self.options) if key == name
        ]
        return values[-1] if values else None


def parse_fstab(text: str) -> Iterator[FstabEntry]:
    """Yield the entries of a file; lines with fewer than three fields are not among them."""
    for number, line in enumerate(text.split("\n")[:MAX_LINES], start=1):
        fields = line.split()
        if len(fields) < 3 or fields[0].startswith("#"):
            continue
        device, folder, kind = (_unescape(field) for field in fields[:3])
        options = tuple(_unescape(fields[3]).split(",")) if len(fields) > 3 else ("defaults",)
        dump, check = (fields[at] if len(fields) > at else "" for at in (4, 5))
        name, equals, value = device.partition("=")
        device = name + equals + value.strip("\"'")
        yield FstabEntry(number, device, folder, kind, options, dump, check, line)


def _unescape(field: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8) & 0xFF), field)
