"""Judge block allocation tables as a whole: each block in a place of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool import _native
from vhdtool.disk.vhd import table_entries
from vhdtool.errors import CorruptImage
from vhdtool.formats.vhd import DYNAMIC_HEADER_SIZE, FOOTER_SIZE
from vhdtool.units import SECTOR_SIZE, align_up

if TYPE_CHECKING:
    from vhdtool._native import TableReport, VhdxTableReport
    from vhdtool.disk.facts import VhdFacts
    from vhdtool.disk.vhdx import VhdxReading

_STRUCTURE = "block allocation table"
_HINT = "`vhdtool check` tells more; get the image again from its source"


def vhd_table(file: _native.File, vhd: VhdFacts, entries: int) -> TableReport | None:
    """Look at the first `entries` of a VHD's table, None for a disk without one.

    Raises:
        CorruptImage, OSError: The table cannot be read.
    """
    if vhd.dynamic_header is None:
        return None
    footer, header = vhd.active.value, vhd.dynamic_header.value
    reserved = [
        (0, FOOTER_SIZE),
        (vhd.dynamic_header.offset, DYNAMIC_HEADER_SIZE),
        (header.table_offset, align_up(4 * entries, SECTOR_SIZE)),
        *(
            (locator.data_offset, locator.data_length)
            for locator in header.locators
            if locator.data_length and locator.data_offset + locator.data_length <= file.size
        ),
    ]
    return _native.vhd_table_report(
        file,
        size=footer.current_size,
        table_offset=header.table_offset,
        table_entries=entries,
        block_size=header.block_size,
        reserved=reserved,
        data_end=file.size if vhd.footer is None else vhd.footer.offset,
    )


def vhdx_table(reading: VhdxReading) -> VhdxTableReport | None:
    """Look at the table of a VHDX, None where the structures before it are damaged.

    Raises:
        CorruptImage, OSError: The table cannot be read.
    """
    parameters, region = reading.file_parameters, reading.table
    if reading.error is not None or parameters is None or region is None:
        return None
    return _native.vhdx_table_report(
        reading.file,
        size=reading.virtual_size or 0,
        table_offset=region.file_offset,
        table_length=region.length,
        block_size=parameters.block_size,
        sector_size=reading.logical_sector_size or SECTOR_SIZE,
        differencing=parameters.has_parent,
        reserved=reading.reserved(),
    )


def require_sound_vhd(file: _native.File, vhd: VhdFacts) -> None:
    """Refuse a VHD with blocks that share bytes: nothing says whose they are.

    Raises:
        CorruptImage: There are such blocks, or some that end past the data.
    """
    if vhd.dynamic_header is not None:
        header = vhd.dynamic_header.value
        # What of the table is not needed does not harm the disk.
        entries = table_entries(vhd.active.value, header)
        _require_sound(vhd_table(file, vhd, entries), header.table_offset)


def require_sound_vhdx(reading: VhdxReading) -> None:
    """Refuse a VHDX with blocks that share bytes; raises as `require_sound_vhd` does."""
    _require_sound(vhdx_table(reading), 0 if reading.table is None else reading.table.file_offset)


def _require_sound(table: TableReport | VhdxTableReport | None, table_offset: int) -> None:
    if table is None:
        return
    places = [
        *((block, start, "past the end of the data") for block, start in table.past_end),
        *((block, start, "over a header or table") for block, start in table.clobbering),
        *((other, start, f"over block {block}") for block, other, start in table.overlapping),
    ]
    for block, start, where in places:
        raise CorruptImage(
            _STRUCTURE,
            offset=table_offset,
            actual=f"block {block} at offset {start:#x} lies {where}",
            expected="each block in a place of its own",
            hint=_HINT,
        )
