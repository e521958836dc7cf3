"""A picture of where a disk holds data, small enough for one screen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vhdtool.disk.disk import Extent, ExtentKind
from vhdtool.units import short_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LEGEND = "# data   + part data   0 zero by the tables   . hole"
_MARGIN = 12  # the offset in front of each row, and two blanks
_MAX_ROWS = 16


def coalesced(extents: Iterable[Extent]) -> Iterator[Extent]:
    """Join neighbours of one kind, as they come."""
    last: Extent | None = None
    for extent in extents:
        if last is not None and last.kind == extent.kind:
            last = Extent(last.offset, last.length + extent.length, last.kind)
            continue
        if last is not None:
            yield last
        last = extent
    if last is not None:
        yield last


@dataclass(slots=True)
class Picture:
    """Counts what each cell of a grid holds; `add` every extent once, in any order."""

    size: int
    columns: int
    totals: dict[ExtentKind, int] = field(
        default_factory=lambda: dict.fromkeys(ExtentKind, 0), init=False
    )
    _cell: int = field(init=False)
    _cells: list[list[int]] = field(init=False)

    def __post_init__(self) -> None:
        """Choose how many bytes a cell stands for."""
        width = max(16, self.columns - _MARGIN)
        sectors = max(1, -(-self.size // 512))
        self._cell = 512 * -(-sectors // (width * _MAX_ROWS))
        self._cells = [[0, 0, 0] for _ in range(max(1, -(-self.size // self._cell)))]

    def add(self, extent: Extent) -> None:
        """Count an extent."""
        self.totals[extent.kind] += extent.length
        offset, end = extent.offset, extent.offset + extent.length
        while offset < end:
            index = offset // self._cell
            stop = min(end, (index + 1) * self._cell)
            self._cells[index][extent.kind] += stop - offset
            offset = stop

    def rows(self) -> Iterator[str]:
        """Draw the grid, each row after the offset of its start."""
        width = max(16, self.columns - _MARGIN)
        for start in range(0, len(self._cells), width):
            cells = "".join(_draw(cell) for cell in self._cells[start : start + width])
            yield f"{short_size(start * self._cell):>10}  {cells}"

    def scale(self) -> str:
        """Say what a cell stands for."""
        return f"each character is {short_size(self._cell)}"


def _draw(cell: list[int]) -> str:
    data, zero, hole = cell
    if data:
        return "+" if zero or hole else "#"
    return "0" if zero else "."
