"""The structures of a VHD file, all big-endian.

Source: Microsoft, "Virtual Hard Disk Image Format Specification" 1.0. Nothing is rejected here
but input that is too short: whether a value is right is asked by properties.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from construct import Bytes, Int8ub, Int16ub, Int32ub, Int64ub, Struct

from vhdtool.formats.chs import Geometry
from vhdtool.formats.guid import BigEndianGuid

if TYPE_CHECKING:
    from uuid import UUID

FOOTER_SIZE = 512
LEGACY_FOOTER_SIZE = 511  # Virtual PC before 2004
DYNAMIC_HEADER_SIZE = 1024
FOOTER_COOKIE = b"conectix"
DYNAMIC_HEADER_COOKIE = b"cxsparse"
VHD_EPOCH = 946684800  # 2000-01-01 00:00:00 UTC in Unix time
NO_OFFSET = 0xFFFF_FFFF_FFFF_FFFF
VERSION_1_0 = 0x0001_0000
UNUSED_ENTRY = 0xFFFF_FFFF
MAX_BLOCK_SIZE = 256 << 20
MIN_BLOCK_SIZE = 4096

_CHECKSUM_MASK = 0xFFFF_FFFF
_OLD_TAP_VERSIONS = (0x0000_0001, 0x0001_0001)

_FOOTER: Any = Struct(
    "cookie" / Bytes(8),
    "features" / Int32ub,
    "version" / Int32ub,
    "data_offset" / Int64ub,
    "timestamp" / Int32ub,
    "creator_application" / Bytes(4),
    "creator_version" / Int32ub,
    "creator_host_os" / Bytes(4),
    "original_size" / Int64ub,
    "current_size" / Int64ub,
    "geometry" / Struct("cylinders" / Int16ub, "heads" / Int8ub, "sectors_per_track" / Int8ub),
    "disk_type" / Int32ub,
    "checksum" / Int32ub,
    "unique_id" / BigEndianGuid,
    "saved_state" / Int8ub,
    "reserved" / Bytes(427),
)

_LOCATOR: Any = Struct(
    "platform_code" / Bytes(4),
    "data_space" / Int32ub,
    "data_length" / Int32ub,
    "reserved" / Int32ub,
    "data_offset" / Int64ub,
)

_DYNAMIC_HEADER: Any = Struct(
    "cookie" / Bytes(8),
    "data_offset" / Int64ub,
    "table_offset" / Int64ub,
    "version" / Int32ub,
    "max_table_entries" / Int32ub,
    "block_size" / Int32ub,
    "checksum" / Int32ub,
    "parent_unique_id" / BigEndianGuid,
    "parent_timestamp" / Int32ub,
    "reserved1" / Int32ub,
    "parent_name_raw" / Bytes(512),
    "locators" / _LOCATOR[8],
    "reserved2" / Bytes(256),
)


class DiskType(IntEnum):
    """The types that are in use; 1, 5 and 6 are reserved."""

    NONE = 0
    FIXED = 2
    DYNAMIC = 3
    DIFFERENCING = 4


def checksum_of(data: bytes, checksum: int) -> int:
    """Return the ones' complement of the sum of `data` without its own `checksum` field."""
    own = sum(checksum.to_bytes(4, "big"))
    return ~(sum(data) - own) & _CHECKSUM_MASK


def _without_names(fields: Any) -> dict[str, Any]:
    # construct keeps the stream it read from among the fields.
    return {name: value for name, value in fields.items() if name != "_io"}


@dataclass(frozen=True, slots=True)
class Footer:
    """A VHD's hard disk footer.

    `timestamp` counts seconds from 2000-01-01 UTC (`VHD_EPOCH`), sizes are bytes, `disk_type` is
    a `DiskType` in a sound file.
    """

    cookie: bytes
    features: int
    version: int
    data_offset: int
    timestamp: int
    creator_application: bytes
    creator_version: int
    creator_host_os: bytes
    original_size: int
    current_size: int
    geometry: Geometry
    disk_type: int
    checksum: int
    unique_id: UUID
    saved_state: int
    reserved: bytes

    @classmethod
    def parse(cls, data: bytes) -> Footer:
        """Read a footer of 512 bytes, or of 511 as Virtual PC wrote it before 2004.

        Raises:
            ValueError: There are fewer bytes.
        """
        if len(data) < LEGACY_FOOTER_SIZE:
            raise ValueError(f"a VHD footer has {FOOTER_SIZE} bytes, not {len(data)}")
        fields = _without_names(_FOOTER.parse(data[:FOOTER_SIZE].ljust(FOOTER_SIZE, b"\0")))
        fields["geometry"] = Geometry(**_without_names(fields["geometry"]))
        return cls(**fields)

    def build(self) -> bytes:
        """Return the footer's 512 bytes, with the checksum that it has."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        fields["geometry"] = {
            "cylinders": self.geometry.cylinders,
            "heads": self.geometry.heads,
            "sectors_per_track": self.geometry.sectors_per_track,
        }
        built: bytes = _FOOTER.build(fields)
        return built

    @property
    def computed_checksum(self) -> int:
        """The checksum that the other fields ask for."""
        return checksum_of(self.build(), self.checksum)

    @property
    def hidden(self) -> bool:
        """XenServer's mark of a disk that only other disks are made from."""
        return self.reserved[0] != 0

    @property
    def checksum_ok(self) -> bool:
        """Whether the checksum is right, or wrong in the one way that is known and harmless.

        XenServer's first tapdisks set the hidden byte without counting it into the checksum.
        """
        computed = self.computed_checksum
        if self.checksum == computed:
            return True
        old_tap = self.creator_application == b"tap\0" and self.creator_version in _OLD_TAP_VERSIONS
        return old_tap and self.checksum == (computed + self.reserved[0]) & _CHECKSUM_MASK

    @property
    def is_plausible(self) -> bool:
        """Whether these bytes are a footer at all: by cookie and checksum."""
        return self.cookie == FOOTER_COOKIE and self.checksum_ok

    def sealed(self) -> Footer:
        """Return the same footer with the right checksum."""
        return replace(self, checksum=self.computed_checksum)


@dataclass(frozen=True, slots=True)
class ParentLocator:
    """Where one platform's name of the parent is stored; `data_length` in bytes.

    The specification counts `data_space` in sectors, most writers in bytes: nobody can rely on it.
    """

    platform_code: bytes
    data_space: int
    data_length: int
    reserved: int
    data_offset: int


@dataclass(frozen=True, slots=True)
class DynamicHeader:
    """The header of a dynamic or differencing disk."""

    cookie: bytes
    data_offset: int
    table_offset: int
    version: int
    max_table_entries: int
    block_size: int
    checksum: int
    parent_unique_id: UUID
    parent_timestamp: int
    reserved1: int
    parent_name_raw: bytes
    locators: tuple[ParentLocator, ...]
    reserved2: bytes

    @classmethod
    def parse(cls, data: bytes) -> DynamicHeader:
        """Read a header of 1024 bytes.

        Raises:
            ValueError: There are fewer bytes.
        """
        if len(data) < DYNAMIC_HEADER_SIZE:
            raise ValueError(f"a dynamic header has {DYNAMIC_HEADER_SIZE} bytes, not {len(data)}")
        fields = _without_names(_DYNAMIC_HEADER.parse(data[:DYNAMIC_HEADER_SIZE]))
        fields["locators"] = tuple(
            ParentLocator(**_without_names(locator)) for locator in fields["locators"]
        )
        return cls(**fields)

    def build(self) -> bytes:
        """Return the header's 1024 bytes, with the checksum that it has."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        fields["locators"] = [
            {name: getattr(locator, name) for name in ParentLocator.__slots__}
            for locator in self.locators
        ]
        built: bytes = _DYNAMIC_HEADER.build(fields)
        return built

    @property
    def parent_name(self) -> str:
        """The parent's name, up to the first NUL; what is no UTF-16 becomes U+FFFD."""
        return self.parent_name_raw.decode("utf-16-be", "replace").partition("\0")[0]

    @property
    def computed_checksum(self) -> int:
        """The checksum that the other fields ask for."""
        return checksum_of(self.build(), self.checksum)

    @property
    def checksum_ok(self) -> bool:
        """Whether the checksum is right."""
        return self.checksum == self.computed_checksum

    def sealed(self) -> DynamicHeader:
        """Return the same header with the right checksum."""
        return replace(self, checksum=self.computed_checksum)
