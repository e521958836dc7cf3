"""Read the metadata items of a VHDX: size, sector sizes, block size, parent.

Source: [MS-VHDX] 8.0, section 2.6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from vhdtool.errors import CorruptImage, UnsupportedImage
from vhdtool.formats import vhdx
from vhdtool.units import human_size

if TYPE_CHECKING:
    from vhdtool.disk.vhdx import VhdxReading

_STRUCTURE = "VHDX metadata"
# Name and length of the items that every disk has.
_ITEMS = {
    vhdx.FILE_PARAMETERS: ("file parameters", 8),
    vhdx.VIRTUAL_DISK_SIZE: ("virtual disk size", 8),
    vhdx.VIRTUAL_DISK_ID: ("virtual disk identifier", 16),
    vhdx.LOGICAL_SECTOR_SIZE: ("logical sector size", 4),
    vhdx.PHYSICAL_SECTOR_SIZE: ("physical sector size", 4),
}
_SECTOR_SIZES = (512, 4096)
_CHUNK_SECTORS = 1 << 23  # sectors that one sector bitmap block covers


def damaged(structure: str, offset: int, actual: str, expected: str) -> CorruptImage:
    """Make the error for a structure that leaves the disk unreadable."""
    return CorruptImage(structure, offset=offset, actual=actual, expected=expected)


def read_metadata(reading: VhdxReading) -> None:
    """Fill the items into `reading`.

    Raises:
        CorruptImage: The table or an item that every disk has is missing or impossible.
        UnsupportedImage: The file requires an item that is not known.
    """
    entries = _entries(reading)
    items = {item_id: _item(reading, entries, item_id) for item_id in _ITEMS}

    def number(item_id: UUID) -> int:
        return int.from_bytes(items[item_id], "little")

    parameters = vhdx.FileParameters.parse(items[vhdx.FILE_PARAMETERS])
    reading.file_parameters = parameters
    reading.virtual_size = number(vhdx.VIRTUAL_DISK_SIZE)
    reading.logical_sector_size = number(vhdx.LOGICAL_SECTOR_SIZE)
    reading.physical_sector_size = number(vhdx.PHYSICAL_SECTOR_SIZE)
    reading.disk_id = UUID(bytes_le=items[vhdx.VIRTUAL_DISK_ID])
    if parameters.has_parent and vhdx.PARENT_LOCATOR in entries:
        raw = _item(reading, entries, vhdx.PARENT_LOCATOR)
        if len(raw) >= 20:
            reading.locator = vhdx.ParentLocatorItem.parse(raw)
    _check_values(reading, entries, parameters)


def _entries(reading: VhdxReading) -> dict[UUID, vhdx.MetadataEntry]:
    region = _region(reading)
    raw = reading.file.read_at(region.file_offset, vhdx.METADATA_TABLE_SIZE)
    table = vhdx.MetadataTable.parse(raw)
    if table.signature != vhdx.METADATA_SIGNATURE:
        raise damaged(
            _STRUCTURE,
            region.file_offset,
            f"signature is {table.signature!r}",
            f"{vhdx.METADATA_SIGNATURE!r}",
        )
    if table.entry_count > vhdx.MAX_TABLE_ENTRIES:
        expected = f"at most {vhdx.MAX_TABLE_ENTRIES}"
        raise damaged(_STRUCTURE, region.file_offset, f"has {table.entry_count} entries", expected)
    entries: dict[UUID, vhdx.MetadataEntry] = {}
    for entry in table.entries:
        known = not entry.is_user and (
            entry.item_id in _ITEMS or entry.item_id == vhdx.PARENT_LOCATOR
        )
        if entry.is_required and not known:
            raise UnsupportedImage(
                _STRUCTURE,
                offset=region.file_offset,
                actual=f"it requires the unknown item {entry.item_id}",
                expected="the items that the specification defines",
            )
        if known and entry.item_id in entries:
            raise damaged(_STRUCTURE, region.file_offset, f"item {entry.item_id} twice", "it once")
        if known:
            entries[entry.item_id] = entry
    return entries


def _region(reading: VhdxReading) -> vhdx.RegionEntry:
    if reading.metadata is None:
        raise ValueError("the metadata region was not found")
    return reading.metadata


def _item(reading: VhdxReading, entries: dict[UUID, vhdx.MetadataEntry], item_id: UUID) -> bytes:
    region = _region(reading)
    name, size = _ITEMS.get(item_id, ("parent locator", None))
    entry = entries.get(item_id)
    if entry is None:
        raise damaged(_STRUCTURE, region.file_offset, f"no {name} item", "one")
    inside = (
        entry.offset >= vhdx.METADATA_TABLE_SIZE and entry.offset + entry.length <= region.length
    )
    if not inside or entry.length > vhdx.MAX_ITEM_SIZE:
        raise damaged(
            _STRUCTURE,
            region.file_offset,
            f"the {name} item has {entry.length} bytes at offset {entry.offset:#x} of its region",
            f"it after the table and inside the region of {region.length} bytes",
        )
    if size is not None and entry.length != size:
        raise damaged(
            _STRUCTURE,
            region.file_offset,
            f"the {name} item has {entry.length} bytes",
            f"{size}",
        )
    return reading.file.read_at(region.file_offset + entry.offset, entry.length)


def _check_values(
    reading: VhdxReading,
    entries: dict[UUID, vhdx.MetadataEntry],
    parameters: vhdx.FileParameters,
) -> None:
    region = _region(reading)

    def refuse(item_id: UUID, actual: str, expected: str) -> None:
        offset = region.file_offset + entries[item_id].offset
        raise damaged(_STRUCTURE, offset, actual, expected)

    block = parameters.block_size
    if not vhdx.MIN_BLOCK_SIZE <= block <= vhdx.MAX_BLOCK_SIZE or block & (block - 1):
        refuse(vhdx.FILE_PARAMETERS, f"block size is {block}", "a power of two, 1 to 256 MiB")
    sector = reading.logical_sector_size or 0
    if sector not in _SECTOR_SIZES:
        refuse(vhdx.LOGICAL_SECTOR_SIZE, f"logical sector size is {sector}", "512 or 4096")
    size = reading.virtual_size or 0
    if not 0 < size <= vhdx.MAX_VIRTUAL_SIZE or size % sector:
        refuse(
            vhdx.VIRTUAL_DISK_SIZE,
            f"virtual disk size is {human_size(size)}",
            "whole sectors, at most 64 TiB",
        )
    if reading.physical_sector_size not in _SECTOR_SIZES:
        # It only advises the guest: the disk stays readable.
        offset = region.file_offset + entries[vhdx.PHYSICAL_SECTOR_SIZE].offset
        actual = f"physical sector size is {reading.physical_sector_size}"
        reading.note(_STRUCTURE, offset, actual, "512 or 4096")
    if parameters.has_parent and reading.locator is None:
        refuse(vhdx.FILE_PARAMETERS, "a parent but no parent locator item", "one")
    _check_table(reading, size, block, sector, parameters.has_parent)


def _check_table(
    reading: VhdxReading, size: int, block: int, sector: int, has_parent: bool
) -> None:
    """The table has an entry for each block, and one for the bitmap of each chunk of blocks."""
    blocks = -(-size // block)
    ratio = _CHUNK_SECTORS * sector // block
    chunks = -(-blocks // ratio)
    entries = chunks * (ratio + 1) if has_parent else blocks + (blocks - 1) // ratio
    table = reading.table
    if table is not None and table.length < 8 * entries:
        raise damaged(
            "VHDX block allocation table",
            table.file_offset,
            f"{table.length} bytes",
            f"at least {8 * entries}",
        )
