"""The structures of a VHDX file, all little-endian. They are only read.

Source: Microsoft, [MS-VHDX] "Virtual Hard Disk v2 (VHDX) File Format" 8.0. Nothing is rejected
here but input that is too short: whether a value is right is for the caller to ask.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from construct import Bytes, Int16ul, Int32ul, Int64ul, Struct

from vhdtool._native import crc32c
from vhdtool.formats.guid import MixedEndianGuid
from vhdtool.units import KIB, MIB, TIB

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_SIGNATURE = b"vhdxfile"
HEADER_SIGNATURE = b"head"
REGION_SIGNATURE = b"regi"
METADATA_SIGNATURE = b"metadata"

FILE_IDENTIFIER_SIZE = 520
HEADER_SIZE = 4 * KIB
HEADER_OFFSETS = (64 * KIB, 128 * KIB)
REGION_TABLE_SIZE = 64 * KIB
REGION_TABLE_OFFSETS = (192 * KIB, 256 * KIB)
HEADER_SECTION_SIZE = MIB
METADATA_TABLE_SIZE = 64 * KIB
MAX_ITEM_SIZE = MIB
MAX_TABLE_ENTRIES = 2047
MAX_VIRTUAL_SIZE = 64 * TIB
MIN_BLOCK_SIZE = MIB
MAX_BLOCK_SIZE = 256 * MIB

BAT_REGION = UUID("2DC27766-F623-4200-9D64-115E9BFD4A08")
METADATA_REGION = UUID("8B7CA206-4790-4B9A-B8FE-575F050F886E")
FILE_PARAMETERS = UUID("CAA16737-FA36-4D43-B3B6-33F0AA44E76B")
VIRTUAL_DISK_SIZE = UUID("2FA54224-CD1B-4876-B211-5DBED83BF4B8")
VIRTUAL_DISK_ID = UUID("BECA12AB-B2E6-4523-93EF-C309E000C746")
LOGICAL_SECTOR_SIZE = UUID("8141BF1D-A96F-4709-BA47-F233A8FAAB5F")
PHYSICAL_SECTOR_SIZE = UUID("CDA348C7-445D-4471-9CC9-E9885251C556")
PARENT_LOCATOR = UUID("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C")
VHDX_LOCATOR_TYPE = UUID("B04AEFB7-D19E-4A81-B789-25B8E9445913")

# The format has five keys; more would only serve to fill memory.
_MAX_LOCATOR_ENTRIES = 64

_HEADER: Any = Struct(
    "signature" / Bytes(4),
    "checksum" / Int32ul,
    "sequence_number" / Int64ul,
    "file_write_guid" / MixedEndianGuid,
    "data_write_guid" / MixedEndianGuid,
    "log_guid" / MixedEndianGuid,
    "log_version" / Int16ul,
    "version" / Int16ul,
    "log_length" / Int32ul,
    "log_offset" / Int64ul,
)
_TABLE_PREFIX: Any = Struct("signature" / Bytes(4), "checksum" / Int32ul, "entry_count" / Int32ul)
_REGION_ENTRY: Any = Struct(
    "guid" / MixedEndianGuid, "file_offset" / Int64ul, "length" / Int32ul, "required" / Int32ul
)
_METADATA_PREFIX: Any = Struct("signature" / Bytes(8), Bytes(2), "entry_count" / Int16ul)
_METADATA_ENTRY: Any = Struct(
    "item_id" / MixedEndianGuid, "offset" / Int32ul, "length" / Int32ul, "flags" / Int32ul
)
_LOCATOR_PREFIX: Any = Struct("locator_type" / MixedEndianGuid, Bytes(2), "entry_count" / Int16ul)
_LOCATOR_ENTRY: Any = Struct(
    "key_offset" / Int32ul,
    "value_offset" / Int32ul,
    "key_length" / Int16ul,
    "value_length" / Int16ul,
)


def checksum_of(raw: bytes) -> int:
    """Return the CRC-32C that a header or region table asks for, from all of its bytes."""
    return crc32c(raw[:4] + bytes(4) + raw[8:])


def _require(data: bytes, size: int, structure: str) -> None:
    if len(data) < size:
        raise ValueError(f"a VHDX {structure} has {size} bytes, not {len(data)}")


def _array(entry: Any, data: bytes, start: int, step: int, count: int) -> Iterator[Any]:
    for index in range(min(count, MAX_TABLE_ENTRIES)):
        piece = data[start + index * step : start + (index + 1) * step]
        if len(piece) < step:
            return
        yield entry.parse(piece)


@dataclass(frozen=True, slots=True)
class FileIdentifier:
    """The start of the file: its signature, and the program that made it."""

    signature: bytes
    creator: str

    @classmethod
    def parse(cls, data: bytes) -> FileIdentifier:
        """Read the identifier from its 520 bytes; ValueError when there are fewer."""
        _require(data, FILE_IDENTIFIER_SIZE, "file identifier")
        creator = data[8:FILE_IDENTIFIER_SIZE].decode("utf-16-le", "replace")
        return cls(signature=data[:8], creator=creator.partition("\0")[0])


@dataclass(frozen=True, slots=True)
class Header:
    """One of the two headers; the sound one with the greater sequence number counts."""

    signature: bytes
    checksum: int
    sequence_number: int
    file_write_guid: UUID
    data_write_guid: UUID
    log_guid: UUID
    log_version: int
    version: int
    log_length: int
    log_offset: int

    @classmethod
    def parse(cls, data: bytes) -> Header:
        """Read a header from its 4096 bytes; ValueError when there are fewer."""
        _require(data, HEADER_SIZE, "header")
        fields = _HEADER.parse(data)
        return cls(**{name: fields[name] for name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class RegionEntry:
    """A region of the file: the block allocation table, or the metadata."""

    guid: UUID
    file_offset: int
    length: int
    required: bool


@dataclass(frozen=True, slots=True)
class RegionTable:
    """One of the two region tables; `entry_count` is what it claims, `entries` what there is."""

    signature: bytes
    checksum: int
    entries: tuple[RegionEntry, ...]
    entry_count: int = 0

    @classmethod
    def parse(cls, data: bytes) -> RegionTable:
        """Read a table from its 64 KiB; ValueError when there are fewer."""
        _require(data, REGION_TABLE_SIZE, "region table")
        prefix = _TABLE_PREFIX.parse(data)
        entries = tuple(
            RegionEntry(entry.guid, entry.file_offset, entry.length, bool(entry.required & 1))
            for entry in _array(_REGION_ENTRY, data, 16, 32, prefix.entry_count)
        )
        return cls(prefix.signature, prefix.checksum, entries, prefix.entry_count)


@dataclass(frozen=True, slots=True)
class MetadataEntry:
    """Where a metadata item lies; `offset` is from the start of the metadata region."""

    item_id: UUID
    offset: int
    length: int
    flags: int

    @property
    def is_user(self) -> bool:
        """Whether it belongs to a user of the disk, not to the format."""
        return bool(self.flags & 1)

    @property
    def is_required(self) -> bool:
        """Whether a reader that does not know the item must refuse the file."""
        return bool(self.flags & 4)


@dataclass(frozen=True, slots=True)
class MetadataTable:
    """The table of metadata items; `entry_count` is what it claims."""

    signature: bytes
    entries: tuple[MetadataEntry, ...]
    entry_count: int = 0

    @classmethod
    def parse(cls, data: bytes) -> MetadataTable:
        """Read the table from its 64 KiB; ValueError when there are fewer."""
        _require(data, METADATA_TABLE_SIZE, "metadata table")
        prefix = _METADATA_PREFIX.parse(data)
        entries = tuple(
            MetadataEntry(entry.item_id, entry.offset, entry.length, entry.flags)
            for entry in _array(_METADATA_ENTRY, data, 32, 32, prefix.entry_count)
        )
        return cls(prefix.signature, entries, prefix.entry_count)


@dataclass(frozen=True, slots=True)
class FileParameters:
    """How the disk is stored; `block_size` in bytes."""

    block_size: int
    leave_blocks_allocated: bool
    has_parent: bool

    @classmethod
    def parse(cls, data: bytes) -> FileParameters:
        """Read the item from its 8 bytes; ValueError when there are fewer."""
        _require(data, 8, "file parameters item")
        flags = int.from_bytes(data[4:8], "little")
        return cls(int.from_bytes(data[:4], "little"), bool(flags & 1), bool(flags & 2))


@dataclass(frozen=True, slots=True)
class ParentLocatorItem:
    """What a differencing disk says of its parent, as keys and values."""

    locator_type: UUID
    entries: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, data: bytes) -> ParentLocatorItem:
        """Read the item; strings outside of it come out short. ValueError below 20 bytes."""
        _require(data, 20, "parent locator item")
        prefix = _LOCATOR_PREFIX.parse(data)
        count = min(prefix.entry_count, _MAX_LOCATOR_ENTRIES)

        def text(offset: int, length: int) -> str:
            return data[offset : offset + length].decode("utf-16-le", "replace")

        entries = tuple(
            (
                text(entry.key_offset, entry.key_length),
                text(entry.value_offset, entry.value_length),
            )
            for entry in _array(_LOCATOR_ENTRY, data, 20, 12, count)
        )
        return cls(prefix.locator_type, entries)
