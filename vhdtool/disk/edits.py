"""Changes to a file that are not made yet, and the file as it would be with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vhdtool.disk.relocate import Reader


@dataclass(frozen=True, slots=True)
class Change:
    """One change as people understand it. Bytes past the end of the file are not in `before`."""

    what: str
    offset: int
    before: bytes
    after: bytes


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of the file that differ between its old and its new state; spans are disjoint.

    A side is shorter where that state of the file ends before the span does.
    """

    offset: int
    before: bytes
    after: bytes


class Edits:
    """A file seen through edits; the file itself is only read."""

    def __init__(self, file: Reader, size: int) -> None:
        """Start without edits over a file of `size` bytes."""
        self._file = file
        self.old_size = size
        self.size = size
        self._kept = size  # up to here the file's own bytes show; what was cut off is gone
        self.changes: list[Change] = []
        self._pieces: list[tuple[int, bytes]] = []

    def read_at(self, offset: int, length: int, /) -> bytes:
        """Read the edited file; fewer bytes only at its end."""
        end = min(offset + length, self.size)
        if end <= offset:
            return b""
        own = self._file.read_at(offset, max(0, min(end, self._kept) - offset))
        view = bytearray(own.ljust(end - offset, b"\0"))
        for at, data in self._pieces:
            start, stop = max(at, offset), min(at + len(data), end)
            if start < stop:
                view[start - offset : stop - offset] = data[start - at : stop - at]
        return bytes(view)

    def write(self, offset: int, data: bytes, what: str) -> None:
        """Replace bytes, growing the file if they end past it; the same bytes are no change."""
        before = self.read_at(offset, len(data))
        if before == data:
            return
        self.size = max(self.size, offset + len(data))
        self._pieces.append((offset, data))
        self.changes.append(Change(what, offset, before, data))

    def truncate(self, size: int, what: str) -> None:
        """Cut the file off."""
        removed = self.read_at(size, self.size - size)
        self.changes.append(Change(what, size, removed, b""))
        self._pieces = [(at, data[: size - at]) for at, data in self._pieces if at < size]
        self.size = size
        self._kept = min(self._kept, size)

    def spans(self) -> tuple[Span, ...]:
        """Return what differs between the old file and the new one, sorted."""
        ranges: list[tuple[int, int]] = []
        touched = [(at, at + len(data)) for at, data in self._pieces if data]
        if self._kept < self.old_size:
            touched.append((self._kept, self.old_size))
        for start, end in sorted(touched):
            if ranges and start <= ranges[-1][1]:
                ranges[-1] = ranges[-1][0], max(end, ranges[-1][1])
            else:
                ranges.append((start, end))
        return tuple(
            Span(
                start,
                self._file.read_at(start, max(0, min(end, self.old_size) - start)),
                self.read_at(start, end - start),
            )
            for start, end in ranges
        )
