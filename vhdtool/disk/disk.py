"""The words in which everything above formats speaks of a disk."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class ExtentKind(IntEnum):
    """How a stretch of a disk reads. The numbers are those of the native core."""

    DATA = 0  # stored somewhere; may still be zeros
    ZERO = 1  # zero by the word of the image's tables
    HOLE = 2  # stored nowhere in the chain; reads as zero


@dataclass(frozen=True, slots=True)
class Extent:
    """A stretch of a disk of one kind; `offset` and `length` in bytes."""

    offset: int
    length: int
    kind: ExtentKind


class Disk(Protocol):
    """An opened image as a flat array of bytes. No position: safe to share between threads."""

    @property
    def size(self) -> int:
        """Size in bytes."""

    @property
    def sector_size(self) -> int:
        """Logical sector size in bytes: 512, or 4096 for some VHDX."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Read `length` bytes from `offset`; fewer only at the end of the disk."""

    def extents(self, offset: int = 0, length: int | None = None) -> Iterator[Extent]:
        """Tile the range with extents, in order, without gaps or overlaps."""
