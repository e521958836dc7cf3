"""Put both copies of a GUID partition table where a disk of a given size needs them.

A disk that grows strands the backup in its middle; a damaged copy can be made from the other.
Nothing is written here: the result is a list of patches.

Source: UEFI Specification 2.10, section 5.3.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from vhdtool.formats.gpt import HEADER_SIZE, SIGNATURE, GptHeader, header_crc32_of
from vhdtool.formats.mbr import PROTECTIVE_TYPE, TABLE_OFFSET, MasterBootRecord
from vhdtool.units import SECTOR_SIZE, align_up

if TYPE_CHECKING:
    from vhdtool.formats.mbr import MbrEntry

_PRIMARY_LBA = 1
_ARRAY_LBA = 2
_MAX_SECTOR_COUNT = 0xFFFF_FFFF  # what a protective MBR says of a disk past 2 TiB
_SECTOR_COUNT_OFFSET = 12
_MBR_ENTRY_SIZE = 16
_CRC_SLICE = slice(16, 20)


class Reader(Protocol):
    """What is read of a disk."""

    def read_at(self, offset: int, length: int, /) -> bytes:
        """Read bytes, fewer at the end of the disk."""


@dataclass(frozen=True, slots=True)
class Patch:
    """Bytes to write to a disk, and what they are."""

    offset: int
    data: bytes
    what: str


@dataclass(frozen=True, slots=True)
class Relocation:
    """Patches that leave a disk with two sound copies of its table, or why there are none.

    Attributes:
        patches: What to write, in this order.
        problem: Why the table cannot be kept sound, one clause; then there are no patches.
        note: What the user should know of a table that could be kept.
    """

    patches: tuple[Patch, ...] = ()
    problem: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class _Copy:
    """One sound copy of the table."""

    header: GptHeader
    sector: bytes
    array: bytes

    @property
    def array_sectors(self) -> int:
        return align_up(self.header.array_size, SECTOR_SIZE) // SECTOR_SIZE

    @property
    def last_used_lba(self) -> int:
        """The last sector of any partition, 0 without one."""
        size = self.header.entry_size
        entries = (self.array[at : at + size] for at in range(0, len(self.array), size))
        ends = [int.from_bytes(entry[40:48], "little") for entry in entries if any(entry[:16])]
        return max(ends, default=0)


def relocate(disk: Reader, size: int, new_size: int) -> Relocation:
    """Plan the tables of a disk of `size` bytes that shall have `new_size`, not less.

    A table that is already right gives no patches, and so does a disk without a GPT.
    """
    last = size // SECTOR_SIZE - 1
    if last < _ARRAY_LBA:
        return Relocation()
    primary = _sound_copy(disk, _PRIMARY_LBA, last)
    if primary is None:
        return _from_backup(disk, last, new_size)
    return _place(disk, primary, size, new_size)


def _from_backup(disk: Reader, last: int, new_size: int) -> Relocation:
    backup = _sound_copy(disk, last, last)
    head = disk.read_at(0, 2 * SECTOR_SIZE)
    record = MasterBootRecord.parse(head)
    expected = head[SECTOR_SIZE:].startswith(SIGNATURE) or (
        record.has_signature and record.is_protective
    )
    if backup is None:
        problem = "neither copy of the GUID partition table is sound" if expected else None
        return Relocation(problem=problem)
    if not expected:
        # An MBR disk that was once a GPT disk: the old backup means nothing.
        return Relocation()
    if _ARRAY_LBA + backup.array_sectors > backup.header.first_usable_lba:
        return Relocation(problem="there is no room for the primary GUID partition table")
    placed = _place(disk, backup, (last + 1) * SECTOR_SIZE, new_size)
    if placed.problem:
        return placed
    return replace(placed, note="the primary GUID partition table was made from its backup")


def _sound_copy(disk: Reader, lba: int, last: int) -> _Copy | None:
    sector = disk.read_at(lba * SECTOR_SIZE, SECTOR_SIZE)
    if len(sector) < SECTOR_SIZE or not sector.startswith(SIGNATURE):
        return None
    header = GptHeader.parse(sector)
    if header.current_lba != lba or header_crc32_of(sector) != header.header_crc32:
        return None
    end = header.entries_lba + align_up(header.array_size, SECTOR_SIZE) // SECTOR_SIZE
    if not header.has_sound_array or header.entries_lba < _ARRAY_LBA or end > last + 1:
        return None
    array = disk.read_at(header.entries_lba * SECTOR_SIZE, header.array_size)
    if zlib.crc32(array) != header.entries_crc32:
        return None
    return _Copy(header, sector, array)


def _place(disk: Reader, copy: _Copy, size: int, new_size: int) -> Relocation:
    """Plan both copies for the new size, from one that is sound."""
    last = new_size // SECTOR_SIZE - 1
    backup_array = last - copy.array_sectors
    if max(copy.last_used_lba, copy.header.first_usable_lba - 1) >= backup_array:
        return Relocation(
            problem=f"a partition ends at sector {copy.last_used_lba}, past the last usable "
            f"sector {backup_array - 1}"
        )
    of_primary = copy.header.current_lba == _PRIMARY_LBA
    last_usable = backup_array - 1
    if new_size // SECTOR_SIZE == size // SECTOR_SIZE:
        # The disk does not grow: what the table leaves unused at the end is its own choice.
        last_usable = min(last_usable, copy.header.last_usable_lba)
    primary = replace(
        copy.header,
        current_lba=_PRIMARY_LBA,
        backup_lba=last,
        last_usable_lba=last_usable,
        entries_lba=copy.header.entries_lba if of_primary else _ARRAY_LBA,
    )
    backup = replace(primary, current_lba=last, backup_lba=_PRIMARY_LBA, entries_lba=backup_array)
    wanted = [
        *_stale_backup(disk, copy, size, last),
        *_protective_mbr(disk, size, last),
        Patch(SECTOR_SIZE, _seal(copy.sector, primary), "primary GPT header"),
        Patch(primary.entries_lba * SECTOR_SIZE, copy.array, "primary GPT entries"),
        Patch(backup_array * SECTOR_SIZE, copy.array, "backup GPT entries"),
        Patch(last * SECTOR_SIZE, _seal(copy.sector, backup), "backup GPT header"),
    ]
    return Relocation(patches=tuple(patch for patch in wanted if not _is_there(disk, patch)))


def _is_there(disk: Reader, patch: Patch) -> bool:
    return disk.read_at(patch.offset, len(patch.data)) == patch.data


def _seal(sector: bytes, header: GptHeader) -> bytes:
    """Put the header's fields into its sector and make the CRC right."""
    built = header.build()[:HEADER_SIZE] + sector[HEADER_SIZE:]
    crc = header_crc32_of(built) or 0
    return built[: _CRC_SLICE.start] + crc.to_bytes(4, "little") + built[_CRC_SLICE.stop :]


def _stale_backup(disk: Reader, copy: _Copy, size: int, new_last: int) -> list[Patch]:
    """Wipe the old backup header, so that no tool takes it for the right one."""
    patches = []
    for lba in {size // SECTOR_SIZE - 1, copy.header.backup_lba} - {_PRIMARY_LBA, new_last}:
        stale = _sound_copy(disk, lba, size // SECTOR_SIZE - 1)
        if (
            stale is not None
            and lba > copy.last_used_lba
            and stale.header.disk_guid == copy.header.disk_guid
        ):
            patches.append(Patch(lba * SECTOR_SIZE, bytes(SECTOR_SIZE), "stale backup GPT header"))
    return patches


def _protective_mbr(disk: Reader, size: int, last: int) -> list[Patch]:
    """Let a protective entry that covered the disk cover it still."""
    record = MasterBootRecord.parse(disk.read_at(0, SECTOR_SIZE))
    if not record.has_signature:
        return []
    count = min(last, _MAX_SECTOR_COUNT)
    covered = size // SECTOR_SIZE - 1
    for entry in record.entries:
        if entry.type_code == PROTECTIVE_TYPE and _is_whole(record, entry, covered, count):
            offset = TABLE_OFFSET + entry.index * _MBR_ENTRY_SIZE + _SECTOR_COUNT_OFFSET
            return [Patch(offset, count.to_bytes(4, "little"), "size in the protective MBR")]
    return []


def _is_whole(record: MasterBootRecord, entry: MbrEntry, covered: int, count: int) -> bool:
    """Whether the entry stands for the whole disk and says less than the new size."""
    alone = sum(other.is_used for other in record.entries) == 1
    stands = entry.first_lba == 1 and (alone or entry.sector_count == covered)
    return stands and entry.sector_count not in (count, _MAX_SECTOR_COUNT)
