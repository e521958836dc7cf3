"""An opened image of any kind, as a flat array of bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from vhdtool.disk.disk import Extent, ExtentKind
from vhdtool.units import SECTOR_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from os import PathLike
    from pathlib import Path

    from vhdtool._native import Disk
    from vhdtool.disk.facts import ImageFormat, VhdFacts, VhdxFacts

_EXTENT_BATCH = 4096


class Image:
    """An opened image with its parents: a `Disk`. It holds files open until `close`.

    Attributes:
        path: The file that was opened.
        format: What it is.
        sector_size: Logical sector size in bytes.
        vhd: The structures of a VHD, else None.
        vhdx: The structures of a VHDX, else None.
        parent: The image that this one builds on.
    """

    def __init__(
        self,
        path: Path,
        image_format: ImageFormat,
        native: Disk,
        *,
        vhd: VhdFacts | None = None,
        vhdx: VhdxFacts | None = None,
        parent: Image | None = None,
    ) -> None:
        """Wrap a native disk; `open_image` is the way to get one."""
        self.path = path
        self.format = image_format
        self.sector_size = SECTOR_SIZE
        if vhdx is not None and vhdx.logical_sector_size is not None:
            self.sector_size = vhdx.logical_sector_size
        self.vhd = vhd
        self.vhdx = vhdx
        self.parent = parent
        self._native: Disk | None = native

    @property
    def native(self) -> Disk:
        """The disk of the native core.

        Raises:
            ValueError: The image is closed.
        """
        if self._native is None:
            raise ValueError(f"{self.path} is closed")
        return self._native

    @property
    def size(self) -> int:
        """Size of the virtual disk in bytes."""
        return self.native.size

    def read_at(self, offset: int, length: int) -> bytes:
        """Read `length` bytes from `offset`; fewer only at the end of the disk."""
        return self.native.read_at(offset, length)

    def extents(self, offset: int = 0, length: int | None = None) -> Iterator[Extent]:
        """Tile the range with extents, in order, without gaps or overlaps."""
        end = self.size if length is None else min(self.size, offset + length)
        while offset < end:
            batch = self.native.extents(offset, end - offset, _EXTENT_BATCH)
            for start, size, kind in batch:
                yield Extent(start, size, ExtentKind(kind))
                offset = start + size

    def close(self) -> None:
        """Let go of the files, those of the parents too."""
        self._native = None
        if self.parent is not None:
            self.parent.close()

    def __enter__(self) -> Self:
        """Return the image itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the image."""
        self.close()


def open_image(
    path: str | PathLike[str],
    *,
    parent: str | PathLike[str] | None = None,
    parent_dirs: Iterable[str | PathLike[str]] = (),
    ignore_bitmap: bool = False,
    strict: bool = False,
) -> Image:
    """Open an image of any kind for reading, with its parents.

    Args:
        path: The image file, or a block device.
        parent: The parent of a differencing image, instead of the one that it names.
        parent_dirs: Folders, besides the child's own, that parents may come from.
        ignore_bitmap: Read allocated blocks of dynamic VHDs whole, as qemu does.
        strict: Refuse blocks that share bytes with others or with structures, as `convert` does.
            Whole tables are read for that; without it each block reads as its entry says.

    Raises:
        OSError: The file cannot be read.
        NotAnImage: It is no virtual disk.
        CorruptImage: Its structures contradict themselves or the file.
        UnsupportedImage: It needs something that vhdtool cannot do.
        ParentNotFound: The parent is in none of the places that may be searched.
        ParentMismatch: The file found is not the parent that the child was made from.
    """
    from vhdtool.disk.opening import try_open

    opening = try_open(
        path, parent=parent, parent_dirs=parent_dirs, ignore_bitmap=ignore_bitmap, strict=strict
    )
    if isinstance(opening.result, Image):
        return opening.result
    raise opening.result
