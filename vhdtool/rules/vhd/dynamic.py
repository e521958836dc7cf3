"""The dynamic header, the block allocation table and the sector bitmaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.disk.facts import ImageFormat
from vhdtool.formats.vhd import DYNAMIC_HEADER_COOKIE, FOOTER_SIZE, NO_OFFSET
from vhdtool.rules.evidence import counted, field_hit
from vhdtool.rules.model import FileLocation, Hit, Severity
from vhdtool.rules.registry import rule
from vhdtool.text import printable
from vhdtool.units import SECTOR_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool._native import TableReport, VhdxTableReport
    from vhdtool.disk.facts import DiskFacts

_VERSION = 0x0001_0000
_ENTRY = 4


@rule("VHD028", "dynamic-header-damaged", severity=Severity.ERROR)
def dynamic_header(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The dynamic header has its cookie `cxsparse`, version 1.0 and the right checksum, and its data
    offset is all ones.

    ## Why it matters
    The header says where the block allocation table is. A reader that does not check it follows
    whatever is written there.

    ## How to fix
    `vhdtool repair IMAGE` if only the checksum is wrong. Otherwise go back to a good copy.

    ## Source
    - Virtual Hard Disk Image Format Specification 1.0, "Dynamic Disk Header Format"
    - Another data offset is only a warning: it points to nothing that any reader looks for.
    """
    if facts.vhd is None:
        return
    located = facts.vhd.dynamic_header
    if located is None:
        if facts.format in (ImageFormat.VHD_DYNAMIC, ImageFormat.VHD_DIFFERENCING):
            place = facts.vhd.active.value.data_offset
            message = f"there is no dynamic header at offset {place:#x}, where the footer places it"
            yield field_hit(message, facts.vhd.active, 16, 8)
        return
    header = located.value
    if header.cookie != DYNAMIC_HEADER_COOKIE:
        found = printable(header.cookie.decode("latin-1"))
        message = f"the dynamic header's cookie is '{found}', expected 'cxsparse'"
        yield field_hit(message, located, 0, 8)
        return
    if not header.checksum_ok:
        yield field_hit(
            f"the dynamic header's checksum is {header.checksum:#010x}, expected"
            f" {header.computed_checksum:#010x}",
            located,
            36,
            4,
        )
    if header.version != _VERSION:
        message = (
            f"the dynamic header's version is {header.version:#010x}, expected {_VERSION:#010x}"
        )
        yield field_hit(message, located, 24, 4)
    if header.data_offset not in (NO_OFFSET, 0xFFFF_FFFF):
        message = f"the dynamic header's data offset is {header.data_offset:#x}, expected all ones"
        yield field_hit(message, located, 8, 8, Severity.WARNING)


@rule("VHD029", "block-size-impossible", severity=Severity.ERROR)
def block_size(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The block size is a power of two and at least one sector.

    ## Why it matters
    Otherwise the blocks cannot be found. Nearly all writers use 2 MiB.

    ## How to fix
    Go back to a good copy of the image.

    ## Source
    - Virtual Hard Disk Image Format Specification 1.0, "Block Size"
    """
    if facts.vhd is None or facts.vhd.dynamic_header is None:
        return
    size = facts.vhd.dynamic_header.value.block_size
    if size < SECTOR_SIZE or size & (size - 1):
        message = f"block size is {size} bytes, expected a power of two of at least 512"
        yield field_hit(message, facts.vhd.dynamic_header, 32, 4)


@rule("VHD030", "block-table-out-of-place", severity=Severity.ERROR)
def table_place(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The block allocation table starts at a whole sector, ends before the footer, and has an entry
    for every block of the virtual size.

    ## Why it matters
    Blocks without an entry cannot be read, so the end of the disk is lost.

    ## How to fix
    Go back to a good copy of the image.

    ## Source
    - Virtual Hard Disk Image Format Specification 1.0, "Table Offset", "Max Table Entries"
    """
    if facts.vhd is None or facts.vhd.dynamic_header is None:
        return
    located = facts.vhd.dynamic_header
    header = located.value
    if header.table_offset % SECTOR_SIZE:
        message = f"the table is at offset {header.table_offset:#x}, expected a multiple of 512"
        yield field_hit(message, located, 16, 8)
    if header.block_size == 0:
        return
    size = facts.vhd.active.value.current_size
    needed = -(-size // header.block_size)
    if header.max_table_entries < needed:
        yield field_hit(
            f"the table has {header.max_table_entries} entries, expected at least {needed} for"
            f" {size} bytes in blocks of {header.block_size}",
            located,
            28,
            4,
        )
    end = header.table_offset + _ENTRY * min(needed, header.max_table_entries)
    footer = facts.vhd.footer
    limit = facts.file_size - FOOTER_SIZE if footer is None else footer.offset
    if end > max(limit, 0):
        message = f"the table ends at offset {end:#x}, expected at most {max(limit, 0):#x}"
        yield field_hit(message, located, 16, 8)


@rule("VHD031", "blocks-overlap-or-outside", severity=Severity.ERROR)
def blocks(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    Every block lies inside the file, before the footer, and overlaps no header, no table and no
    other block. In a VHDX the states of the blocks are checked too.

    ## Why it matters
    Two parts of the disk share bytes, or a part is missing: the file was cut short, or written by a
    faulty tool. Readers that do not check return wrong data.

    ## How to fix
    Go back to a good copy of the image; nothing in the file says which data is right.

    ## Source
    - Virtual Hard Disk Image Format Specification 1.0, "Block Allocation Table and Data Blocks"
    - xapi-project/blktap, vhd-util check; [MS-VHDX] 2.5
    """
    if facts.vhdx is not None and facts.vhdx.table is not None:
        table = facts.vhdx.table
        if table.bad_state_count:
            block, state = table.bad_states[0]
            count = counted(table.bad_state_count, "block has", "blocks have")
            yield Hit(f"{count} an undefined state; the first is block {block} with state {state}")
        yield from _misplaced(table, facts.file_size)
    elif facts.vhd is not None and facts.vhd.table is not None:
        header = facts.vhd.dynamic_header
        table_offset = None if header is None else header.value.table_offset
        yield from _misplaced(facts.vhd.table, facts.file_size, table_offset)


def _misplaced(
    table: TableReport | VhdxTableReport, file_size: int, table_offset: int | None = None
) -> Iterator[Hit]:
    def place(block: int) -> FileLocation | None:
        if table_offset is None:
            return None
        return FileLocation(table_offset + _ENTRY * block, _ENTRY)

    if table.past_end_count:
        block, offset = table.past_end[0]
        message = (
            counted(table.past_end_count, "block ends", "blocks end")
            + f" past the data of the file of {file_size} bytes; the first is block {block} at"
            f" offset {offset:#x}"
        )
        yield Hit(message, place(block))
    if table.clobbering_count:
        block, offset = table.clobbering[0]
        message = (
            counted(table.clobbering_count, "block overlaps", "blocks overlap")
            + f" a header or table; the first is block {block} at offset {offset:#x}"
        )
        yield Hit(message, place(block))
    if table.overlapping_count:
        block, other, offset = table.overlapping[0]
        message = (
            counted(table.overlapping_count, "block overlaps", "blocks overlap")
            + f" another one; the first are blocks {block} and {other} at offset {offset:#x}"
        )
        yield Hit(message, place(other))


@rule("VHD032", "data-in-clear-sectors", severity=Severity.WARNING)
def clear_sectors(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    A dynamic disk holds no data in sectors whose bitmap bit is clear. On a very large disk only
    part of the bitmaps is read, unless `--thorough` is given.

    ## Why it matters
    According to the specification such sectors are zero, and vhdtool, Xen, VirtualBox, DiscUtils
    and libvhdi read zeros. qemu ignores the bitmaps and reads the data, so two tools make two
    different disks from one image.

    ## How to fix
    Find out which is right by checking the file systems. `vhdtool convert --ignore-bitmap` reads
    the data as qemu does.

    ## Source
    - Virtual Hard Disk Image Format Specification 1.0, "Data Blocks"
    - A warning rather than a mere note, since the disk's content depends on it.
    """
    if facts.vhd is None or facts.vhd.bitmaps is None or not facts.vhd.bitmaps.nonzero_bytes:
        return
    found = facts.vhd.bitmaps
    part = "" if found.complete else f" in the {found.examined} of {found.blocks} blocks examined"
    location = None if found.first_offset is None else FileLocation(found.first_offset, 1)
    yield Hit(
        counted(found.nonzero_bytes, "byte is", "bytes are")
        + f" not zero in {counted(found.clear_sectors, 'sector', 'sectors')} whose bitmap bit is"
        f" clear{part}: vhdtool reads zeros there, qemu reads the data",
        location,
    )


@rule("VHD034", "parent-data-without-parent", severity=Severity.INFO)
def parent_data(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The header of a dynamic disk names no parent.

    ## Why it matters
    The disk used to be a differencing disk, or its type is wrong and it still is one.

    ## How to fix
    Nothing needs to be done if the disk is complete; `vhdtool convert` drops these fields.

    ## Source
    - Virtual Hard Disk Image Format Specification 1.0, "Parent Unique ID"
    - xapi-project/blktap, vhd-util check
    """
    if facts.vhd is None or facts.format is not ImageFormat.VHD_DYNAMIC:
        return
    located = facts.vhd.dynamic_header
    if located is None:
        return
    header = located.value
    if header.parent_unique_id.int or any(header.parent_name_raw):
        named = printable(header.parent_name) or str(header.parent_unique_id)
        message = f"the dynamic disk names a parent ({named}), expected none"
        yield field_hit(message, located, 40, 24)
