"""Collect everything that rules look at. What is wrong with an image becomes a fact."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from vhdtool import _native
from vhdtool.disk.disk import ExtentKind
from vhdtool.disk.facts import DiskFacts
from vhdtool.disk.image import Image
from vhdtool.disk.opening import try_open
from vhdtool.disk.partitions import read_partitions
from vhdtool.disk.tables import vhd_table, vhdx_table
from vhdtool.disk.vhd import has_sound_table
from vhdtool.errors import FormatError
from vhdtool.formats.vhd import DiskType
from vhdtool.text import printable
from vhdtool.units import MIB, SECTOR_SIZE, align_up

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

    from vhdtool.disk.facts import PartitionFacts, VhdFacts, VhdxFacts
    from vhdtool.disk.opening import Layer
    from vhdtool.disk.vhdx import VhdxReading

# What a check without `thorough` reads of the blocks of a dynamic VHD.
_MAX_BITMAPS = 8192
_MAX_BITMAP_DATA = 64 * MIB
_UNBOUNDED = (1 << 63) - 1
# Where a disk that starts with zeros is looked at for anything else.
_ZERO_SAMPLES = 256
_ZERO_WINDOW = 2 * MIB
_ZERO_READS = 16 * MIB
# A damaged disk may fail at every partition of a hostile table.
_MAX_UNREAD = 16


def collect_facts(
    path: str | PathLike[str],
    *,
    parent: str | PathLike[str] | None = None,
    parent_dirs: Iterable[str | PathLike[str]] = (),
    ignore_bitmap: bool = False,
    now: datetime | None = None,
    thorough: bool = False,
) -> DiskFacts:
    """Read an image's structures, its partition tables and what its volumes start with.

    As `collect_opened`, which says more, with the image closed.
    """
    facts, image = collect_opened(
        path,
        parent=parent,
        parent_dirs=parent_dirs,
        ignore_bitmap=ignore_bitmap,
        now=now,
        thorough=thorough,
    )
    if image is not None:
        image.close()
    return facts


def collect_opened(
    path: str | PathLike[str],
    *,
    parent: str | PathLike[str] | None = None,
    parent_dirs: Iterable[str | PathLike[str]] = (),
    ignore_bitmap: bool = False,
    now: datetime | None = None,
    thorough: bool = False,
) -> tuple[DiskFacts, Image | None]:
    """Collect facts and return the image too, open, if it can be opened; the caller closes it.

    Args:
        path: The image file, or a block device.
        parent: The parent of a differencing image, instead of the one that it names.
        parent_dirs: Folders, besides the child's own, that parents may come from.
        ignore_bitmap: Read allocated blocks of dynamic VHDs whole, as qemu does.
        now: The time to judge timestamps by, instead of the clock's.
        thorough: Read every sector bitmap, and all that lies under clear bits.

    Raises:
        OSError: The file cannot be opened or read at all.
    """
    opening = try_open(path, parent=parent, parent_dirs=parent_dirs, ignore_bitmap=ignore_bitmap)
    layer = opening.layer
    gaps: list[str] = []
    image = opening.result if isinstance(opening.result, Image) else None
    open_error = None if image is not None else _describe(opening.result, layer.path)
    layout = _layout(image, gaps) if image is not None else None
    vhd = None if layer.vhd is None else _vhd_facts(layer, layer.vhd, thorough, gaps)
    vhdx = None if layer.vhdx is None else _vhdx_facts(layer, layer.vhdx, gaps)
    return DiskFacts(
        path=Path(path),
        format=layer.detected.format,
        file_size=layer.file.size,
        allocated_size=layer.file.allocated,
        virtual_size=_virtual_size(layer, image),
        sector_size=_sector_size(layer, image),
        vhd=vhd,
        vhdx=vhdx,
        layout=layout,
        all_zero=None if image is None or layout is None else _all_zero(image, layout, gaps),
        open_error=open_error,
        gaps=tuple(gaps),
        now=datetime.now(UTC) if now is None else now,
    ), image


def _describe(error: object, path: Path) -> str:
    """Say why an image cannot be opened, and in which file of its chain."""
    if isinstance(error, FormatError) and error.path not in (None, path):
        return f"{printable(str(error.path))}: {error}"
    return str(error)


def _virtual_size(layer: Layer, image: Image | None) -> int | None:
    if image is not None:
        return image.size
    if layer.vhd is not None:
        return layer.vhd.active.value.current_size
    return None if layer.vhdx is None else layer.vhdx.virtual_size


def _sector_size(layer: Layer, image: Image | None) -> int | None:
    if image is not None:
        return image.sector_size
    if layer.vhd is not None:
        return SECTOR_SIZE
    return None if layer.vhdx is None else layer.vhdx.logical_sector_size


def _layout(image: Image, gaps: list[str]) -> PartitionFacts | None:
    try:
        layout = read_partitions(image)
    except (FormatError, OSError) as error:
        gaps.append(f"the partition tables cannot be read: {_describe(error, image.path)}")
        return None
    gaps += [f"cannot read {unread}" for unread in layout.unread[:_MAX_UNREAD]]
    return layout


def _vhd_facts(layer: Layer, vhd: VhdFacts, thorough: bool, gaps: list[str]) -> VhdFacts:
    vhd = replace(vhd, parent=layer.parent)
    if vhd.dynamic_header is None or not has_sound_table(layer.file, vhd):
        return vhd
    footer, header = vhd.active.value, vhd.dynamic_header.value
    # What the file can hold, whatever the header says.
    entries = min(header.max_table_entries, (layer.file.size - header.table_offset) // 4)
    try:
        table = vhd_table(layer.file, vhd, entries)
        bitmaps = None
        if footer.disk_type == DiskType.DYNAMIC:
            bitmaps = _native.vhd_bitmap_report(
                layer.file,
                size=footer.current_size,
                table_offset=header.table_offset,
                table_entries=entries,
                block_size=header.block_size,
                max_blocks=_UNBOUNDED if thorough else _MAX_BITMAPS,
                max_bytes=_UNBOUNDED if thorough else _MAX_BITMAP_DATA,
            )
    except (FormatError, OSError) as error:
        gaps.append(f"the block allocation table cannot be read: {error}")
        return vhd
    return replace(vhd, table=table, bitmaps=bitmaps)


def _vhdx_facts(layer: Layer, reading: VhdxReading, gaps: list[str]) -> VhdxFacts:
    facts = replace(reading.facts(), parent=layer.parent)
    try:
        table = vhdx_table(reading)
    except (FormatError, OSError) as error:
        gaps.append(f"the block allocation table cannot be read: {error}")
        return facts
    return replace(facts, table=table)


def _all_zero(image: Image, layout: PartitionFacts, gaps: list[str]) -> bool | None:
    """Look at samples spread over a disk that starts with zeros, the last bytes among them."""
    if not _native.is_zero(layout.first_mib) or not _native.is_zero(layout.last_sector):
        return False
    step = max(_ZERO_WINDOW, align_up(image.size // _ZERO_SAMPLES, _ZERO_WINDOW))
    windows = range(0, image.size, step)
    try:
        for window in windows:
            for extent in image.extents(window, _ZERO_WINDOW):
                length = min(extent.length, _ZERO_READS // len(windows))
                if extent.kind is ExtentKind.DATA and not _native.is_zero(
                    image.read_at(extent.offset, length)
                ):
                    return False
    except (FormatError, OSError) as error:
        gaps.append(f"the disk's data cannot be read: {_describe(error, image.path)}")
        return None
    return True
