"""Build the structures of a new VHD: its footer, and for a dynamic disk its header.

Source: Microsoft, "Virtual Hard Disk Image Format Specification" 1.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vhdtool import __version__
from vhdtool.errors import ConfigError
from vhdtool.formats.chs import geometry_for
from vhdtool.formats.guid import NIL
from vhdtool.formats.vhd import (
    DYNAMIC_HEADER_COOKIE,
    DYNAMIC_HEADER_SIZE,
    FOOTER_COOKIE,
    FOOTER_SIZE,
    NO_OFFSET,
    VERSION_1_0,
    DiskType,
    DynamicHeader,
    Footer,
    ParentLocator,
)
from vhdtool.units import GIB, MIB, SECTOR_SIZE, align_up, human_size

if TYPE_CHECKING:
    from uuid import UUID

CREATOR = b"vht "
CREATOR_HOST = b"Wi2k"  # the specification knows Windows and Macintosh only
FEATURES = 2  # the reserved bit, which is always set
BLOCK_SIZE = 2 * MIB
# A table entry counts sectors in 32 bits: Hyper-V and Azure put the limit here.
MAX_DYNAMIC_SIZE = 2040 * GIB
MAX_FIXED_SIZE = 64 << 40  # the largest managed disk there is has 64 TiB

_TABLE_OFFSET = FOOTER_SIZE + DYNAMIC_HEADER_SIZE


def _creator_version() -> int:
    major, minor = __version__.split(".")[:2]
    return int(major) << 16 | int(minor)


def new_footer(size: int, *, disk_type: DiskType, unique_id: UUID, timestamp: int) -> Footer:
    """Return the sealed footer of a new disk.

    Args:
        size: Virtual size in bytes, whole sectors.
        disk_type: Fixed or dynamic.
        unique_id: Identity of the disk.
        timestamp: Seconds since 2000-01-01 UTC.

    Raises:
        ConfigError: A disk of this type cannot have the size.
    """
    limit = MAX_FIXED_SIZE if disk_type == DiskType.FIXED else MAX_DYNAMIC_SIZE
    if size > limit:
        raise ConfigError(
            f"a {disk_type.name.lower()} VHD cannot hold {human_size(size)}, "
            f"at most {human_size(limit)}",
            hint="make a fixed VHD: `--to fixed`" if limit == MAX_DYNAMIC_SIZE else None,
        )
    return Footer(
        cookie=FOOTER_COOKIE,
        features=FEATURES,
        version=VERSION_1_0,
        data_offset=NO_OFFSET if disk_type == DiskType.FIXED else FOOTER_SIZE,
        timestamp=timestamp,
        creator_application=CREATOR,
        creator_version=_creator_version(),
        creator_host_os=CREATOR_HOST,
        original_size=size,
        current_size=size,
        geometry=geometry_for(size),
        disk_type=disk_type,
        checksum=0,
        unique_id=unique_id,
        saved_state=0,
        reserved=bytes(427),
    ).sealed()


@dataclass(frozen=True, slots=True)
class DynamicLayout:
    """Where the parts of a new dynamic VHD lie: footer copy, header, table, blocks, footer."""

    size: int
    block_size: int = BLOCK_SIZE

    @property
    def table_offset(self) -> int:
        """File offset of the block allocation table."""
        return _TABLE_OFFSET

    @property
    def table_entries(self) -> int:
        """Blocks that the disk has."""
        return max(1, -(-self.size // self.block_size))

    @property
    def first_block(self) -> int:
        """File offset of the first block: after the table, which fills whole sectors."""
        return align_up(_TABLE_OFFSET + 4 * self.table_entries, SECTOR_SIZE)

    @property
    def bitmap_size(self) -> int:
        """Bytes of a block's sector bitmap, padded to whole sectors."""
        return align_up(self.block_size // SECTOR_SIZE // 8, SECTOR_SIZE)

    def header(self) -> DynamicHeader:
        """Return the sealed dynamic header."""
        unused = ParentLocator(bytes(4), 0, 0, 0, 0)
        return DynamicHeader(
            cookie=DYNAMIC_HEADER_COOKIE,
            data_offset=NO_OFFSET,
            table_offset=self.table_offset,
            version=VERSION_1_0,
            max_table_entries=self.table_entries,
            block_size=self.block_size,
            checksum=0,
            parent_unique_id=NIL,
            parent_timestamp=0,
            reserved1=0,
            parent_name_raw=bytes(512),
            locators=(unused,) * 8,
            reserved2=bytes(256),
        ).sealed()
