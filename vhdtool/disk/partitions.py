"""Read how a disk is divided. What is broken becomes a fact, never an exception."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING
from uuid import UUID

from vhdtool import _native
from vhdtool.disk.facts import GptFacts, Partition, PartitionFacts
from vhdtool.disk.signatures import find_signature
from vhdtool.errors import FormatError
from vhdtool.formats import gpt, mbr
from vhdtool.units import MIB, SECTOR_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.disk.facts import Signature
    from vhdtool.disk.image import Image

# Real disks have a handful; a hostile table may have 32768, each of which would cost reads.
_MAX_EXAMINED = 128
_SEARCH_LENGTH = MIB


def read_partitions(disk: Image) -> PartitionFacts:
    """Read the partition tables of a disk and what its volumes start with.

    Raises:
        FormatError, OSError: The first MiB of the disk cannot be read.
    """
    first_mib = disk.read_at(0, MIB)
    reader = _Reader(disk)
    record = mbr.MasterBootRecord.parse(first_mib) if len(first_mib) >= SECTOR_SIZE else None
    if record is not None and not record.has_signature:
        record = None
    primary = reader.table_at(disk.sector_size)
    bare = None if primary else find_signature(reader.read, 0, disk.size)
    backup = _find_backup(reader, primary) if primary or _may_have_gpt(record, bare) else None
    partitions = tuple(_partitions(reader, record, primary, backup))
    return PartitionFacts(
        mbr=record,
        primary_gpt=primary,
        backup_gpt=backup,
        gpt_at_4096=disk.sector_size == SECTOR_SIZE and _is_first_header(first_mib[4096:8192]),
        partitions=partitions,
        bare_signature=None if partitions else bare,
        first_mib=first_mib,
        last_sector=reader.read(max(0, disk.size - disk.sector_size), disk.sector_size),
        problems=tuple(reader.problems),
        unread=tuple(reader.unread),
    )


class _Reader:
    """Reads that turn failures into facts."""

    def __init__(self, disk: Image) -> None:
        self.disk = disk
        self.problems: list[tuple[int, str]] = []
        self.unread: list[str] = []

    def read(self, offset: int, length: int) -> bytes:
        """Read what is there; a range that lies outside the disk is empty."""
        if not 0 <= offset < self.disk.size or length <= 0:
            return b""
        try:
            return self.disk.read_at(offset, length)
        except (FormatError, OSError) as error:
            self.unread.append(f"{length} bytes at byte {offset} of the disk: {error}")
            return b""

    def table_at(self, offset: int) -> GptFacts | None:
        """Read the copy of a GPT whose header is at `offset`, None without its signature."""
        raw = self.read(offset, self.disk.sector_size)
        if not raw.startswith(gpt.SIGNATURE) or len(raw) < gpt.HEADER_SIZE:
            return None
        header = gpt.GptHeader.parse(raw)
        array = self._array(header)
        entries = tuple(_entries(header, array)) if array is not None else ()
        crc_ok = gpt.header_crc32_of(raw) == header.header_crc32
        entries_ok = None if array is None else zlib.crc32(array) == header.entries_crc32
        return GptFacts(
            offset=offset,
            header=header,
            raw=raw,
            header_crc_ok=crc_ok,
            entries_crc_ok=entries_ok,
            entries=entries,
            problem=_gpt_problem(header, offset // self.disk.sector_size, crc_ok, entries_ok),
        )

    def _array(self, header: gpt.GptHeader) -> bytes | None:
        if not header.has_sound_array:
            return None
        array = self.read(header.entries_lba * self.disk.sector_size, header.array_size)
        return array if len(array) == header.array_size else None


def _gpt_problem(
    header: gpt.GptHeader, lba: int, header_crc_ok: bool, entries_crc_ok: bool | None
) -> str | None:
    if not header_crc_ok:
        return "the header's CRC is wrong"
    if header.current_lba != lba:
        return f"the header is at LBA {lba} and says that it is at LBA {header.current_lba}"
    if not header.has_sound_array:
        return (
            f"the array of {header.entry_count} entries of {header.entry_size} bytes is impossible"
        )
    if entries_crc_ok is None:
        return f"the entry array at LBA {header.entries_lba} is not inside the disk"
    return None if entries_crc_ok else "the entry array's CRC is wrong"


def _entries(header: gpt.GptHeader, array: bytes) -> Iterator[gpt.GptEntry]:
    for entry in _native.gpt_entries(array, header.entry_size, header.entry_count):
        index, type_guid, unique_guid, first_lba, last_lba, attributes, name = entry
        yield gpt.GptEntry(
            index=index,
            type_guid=UUID(bytes_le=type_guid),
            unique_guid=UUID(bytes_le=unique_guid),
            first_lba=first_lba,
            last_lba=last_lba,
            attributes=attributes,
            name=name,
        )


def _is_first_header(sector: bytes) -> bool:
    if not sector.startswith(gpt.SIGNATURE) or len(sector) < gpt.HEADER_SIZE:
        return False
    return gpt.GptHeader.parse(sector).current_lba == 1


def _may_have_gpt(record: mbr.MasterBootRecord | None, bare: Signature | None = None) -> bool:
    """Whether a GPT counts: beside MBR partitions or a bare file system it is a leftover."""
    if record is not None and record.is_protective:
        return True
    used = record is not None and any(entry.is_used for entry in record.entries)
    return not used and bare is None


def _find_backup(reader: _Reader, primary: GptFacts | None) -> GptFacts | None:
    """Find the backup where the primary says, at the end, where the end was, or near the end."""
    fallback = None
    for offset in dict.fromkeys(_backup_places(reader, primary)):
        found = reader.table_at(offset)
        if found is not None and found.header_crc_ok:
            return found
        fallback = fallback or found
    return fallback


def _backup_places(reader: _Reader, primary: GptFacts | None) -> Iterator[int]:
    sector = reader.disk.sector_size
    last_lba = reader.disk.size // sector - 1
    if primary is not None:
        header = primary.header
        array_sectors = -(-header.array_size // sector)
        for lba in (header.backup_lba, last_lba, header.last_usable_lba + array_sectors + 1):
            if 1 < lba <= last_lba:
                yield lba * sector
    elif last_lba > 1:
        yield last_lba * sector
    start = max(2, last_lba + 1 - _SEARCH_LENGTH // sector)
    tail = reader.read(start * sector, _SEARCH_LENGTH)
    for at in range(len(tail) // sector * sector - sector, -1, -sector):
        if tail.startswith(gpt.SIGNATURE, at):
            yield start * sector + at


def _partitions(
    reader: _Reader,
    record: mbr.MasterBootRecord | None,
    primary: GptFacts | None,
    backup: GptFacts | None,
) -> Iterator[Partition]:
    if _may_have_gpt(record):
        for table in (primary, backup):
            if table is not None and table.problem is None:
                yield from _gpt_partitions(reader, table)
                return
    if record is not None:
        yield from _mbr_partitions(reader, record)


def _gpt_partitions(reader: _Reader, table: GptFacts) -> Iterator[Partition]:
    sector = reader.disk.sector_size
    header = table.header
    for entry in table.entries:
        yield _partition(
            reader,
            examine=entry.index < _MAX_EXAMINED,
            number=entry.index + 1,
            scheme="gpt",
            offset=entry.first_lba * sector,
            length=max(0, entry.last_lba - entry.first_lba + 1) * sector,
            type_code=str(entry.type_guid).upper(),
            type_name=gpt.type_name(entry.type_guid),
            name=entry.name,
            entry_offset=header.entries_lba * sector + entry.index * header.entry_size,
        )


def _mbr_partitions(reader: _Reader, record: mbr.MasterBootRecord) -> Iterator[Partition]:
    used = [entry for entry in record.entries if entry.is_used]
    if any(entry.status not in (0, mbr.ACTIVE) for entry in used):
        # The boot code of a bare file system where a partition table would be.
        return
    sector = reader.disk.sector_size
    for entry in used:
        if entry.type_code != mbr.PROTECTIVE_TYPE:
            yield _partition(
                reader,
                number=entry.index + 1,
                scheme="mbr",
                offset=entry.first_lba * sector,
                length=entry.sector_count * sector,
                type_code=f"{entry.type_code:#04x}",
                type_name=mbr.type_name(entry.type_code),
                active=entry.status == mbr.ACTIVE,
                examine=not entry.is_extended,
                entry_offset=mbr.TABLE_OFFSET + entry.index * mbr.ENTRY_SIZE,
            )
    for entry in used:
        if entry.is_extended:
            yield from _logical_partitions(reader, entry)


def _partition(
    reader: _Reader,
    *,
    number: int,
    scheme: str,
    offset: int,
    length: int,
    type_code: str,
    type_name: str,
    entry_offset: int,
    examine: bool,
    name: str = "",
    active: bool = False,
) -> Partition:
    return Partition(
        number=number,
        scheme=scheme,
        offset=offset,
        length=length,
        type_code=type_code,
        type_name=type_name,
        name=name,
        active=active,
        entry_offset=entry_offset,
        signature=find_signature(reader.read, offset, length) if examine else None,
        boot_sector=reader.read(offset, min(SECTOR_SIZE, length)) if examine else b"",
    )


def _logical_partitions(reader: _Reader, extended: mbr.MbrEntry) -> Iterator[Partition]:
    sector = reader.disk.sector_size
    try:
        found, problem = _native.mbr_logical(
            reader.disk.native, extended.first_lba, extended.sector_count, sector
        )
    except (FormatError, OSError) as error:
        reader.unread.append(f"the logical partitions: {error}")
        return
    if problem is not None:
        reader.problems.append(problem)
    for number, entry in enumerate(found, start=5):
        entry_offset, status, type_code, first_lba, sector_count = entry
        yield _partition(
            reader,
            examine=number < _MAX_EXAMINED,
            number=number,
            scheme="mbr",
            offset=first_lba * sector,
            length=sector_count * sector,
            type_code=f"{type_code:#04x}",
            type_name=mbr.type_name(type_code),
            active=status == mbr.ACTIVE,
            entry_offset=entry_offset,
        )
