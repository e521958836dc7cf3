"""Read and judge the structures of a VHDX, and open it.

Source: [MS-VHDX] 8.0, sections 2 and 3. Everything that fails is kept as a problem; what makes the
disk unreadable is kept as an error too, and reading goes on as far as it can.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from uuid import UUID

from vhdtool import _native
from vhdtool.disk.chain import Wanted
from vhdtool.disk.facts import Located, VhdxFacts
from vhdtool.disk.vhdx_metadata import damaged, read_metadata
from vhdtool.errors import CorruptImage, FormatError, UnsupportedImage
from vhdtool.formats import vhdx
from vhdtool.formats.guid import NIL
from vhdtool.units import MIB

_KNOWN_REGIONS = (vhdx.BAT_REGION, vhdx.METADATA_REGION)
_PARENT_KEYS = ("relative_path", "volume_path", "absolute_win32_path")
_LINKAGE_KEYS = ("parent_linkage", "parent_linkage2")


@dataclass(slots=True)
class VhdxReading:
    """What was read of a VHDX; `error` is the first reason why it cannot be opened."""

    file: _native.File  # seen through the replayed log
    creator: str = ""
    headers: list[Located[vhdx.Header]] = field(default_factory=list)
    active_header: int | None = None
    region_tables: list[Located[vhdx.RegionTable]] = field(default_factory=list)
    active_region_table: int | None = None
    log_pending: bool = False
    log_entries: int | None = None
    file_parameters: vhdx.FileParameters | None = None
    virtual_size: int | None = None
    logical_sector_size: int | None = None
    physical_sector_size: int | None = None
    disk_id: UUID | None = None
    locator: vhdx.ParentLocatorItem | None = None
    table: vhdx.RegionEntry | None = None
    metadata: vhdx.RegionEntry | None = None
    problems: list[tuple[int, str]] = field(default_factory=list)
    error: FormatError | None = None

    @property
    def header(self) -> vhdx.Header | None:
        """The header that counts."""
        return None if self.active_header is None else self.headers[self.active_header].value

    def facts(self) -> VhdxFacts:
        """Return what rules look at, without the report on the table and without the parent."""
        return VhdxFacts(
            creator=self.creator,
            headers=(self.headers[0], self.headers[1]),
            active_header=self.active_header,
            region_tables=(self.region_tables[0], self.region_tables[1]),
            active_region_table=self.active_region_table,
            log_pending=self.log_pending,
            log_entries=self.log_entries,
            file_parameters=self.file_parameters,
            virtual_size=self.virtual_size,
            logical_sector_size=self.logical_sector_size,
            physical_sector_size=self.physical_sector_size,
            disk_id=self.disk_id,
            problems=tuple(self.problems),
            table=None,
            parent=None,
        )

    def note(self, structure: str, offset: int, actual: str, expected: str) -> None:
        """Keep a problem that leaves the disk readable."""
        self.problems.append((offset, f"{structure}: {actual}, expected {expected}"))

    def reserved(self) -> list[tuple[int, int]]:
        """Return (offset, length) of everything that no block may lie over."""
        ranges = [(0, vhdx.HEADER_SECTION_SIZE)]
        if self.header is not None and self.header.log_length:
            ranges.append((self.header.log_offset, self.header.log_length))
        regions = (self.table, self.metadata)
        ranges += [(entry.file_offset, entry.length) for entry in regions if entry is not None]
        return ranges


def read_vhdx(file: _native.File) -> VhdxReading:
    """Read all structures; whatever is wrong stands in `problems` and, if fatal, in `error`."""
    reading = VhdxReading(file)
    _parse_headers(reading)
    _parse_region_tables(reading)
    try:
        _choose_header(reading)
        _replay_log(reading)
        _choose_region_table(reading)
        _find_regions(reading)
        read_metadata(reading)
    except FormatError as error:
        reading.error = error
        reading.problems.append((error.offset or 0, str(error)))
    return reading


def _padded(file: _native.File, offset: int, size: int) -> bytes:
    return file.read_at(offset, size).ljust(size, b"\0")


def _parse_headers(reading: VhdxReading) -> None:
    identifier = _padded(reading.file, 0, vhdx.FILE_IDENTIFIER_SIZE)
    reading.creator = vhdx.FileIdentifier.parse(identifier).creator
    for offset in vhdx.HEADER_OFFSETS:
        raw = _padded(reading.file, offset, vhdx.HEADER_SIZE)
        reading.headers.append(Located(offset, raw, vhdx.Header.parse(raw)))


def _parse_region_tables(reading: VhdxReading) -> None:
    reading.region_tables.clear()
    for offset in vhdx.REGION_TABLE_OFFSETS:
        raw = _padded(reading.file, offset, vhdx.REGION_TABLE_SIZE)
        reading.region_tables.append(Located(offset, raw, vhdx.RegionTable.parse(raw)))


def _is_sound(
    reading: VhdxReading,
    located: Located[vhdx.Header] | Located[vhdx.RegionTable],
    signature: bytes,
    structure: str,
) -> bool:
    value = located.value
    if value.signature != signature:
        actual = f"signature is {value.signature!r}"
        reading.note(structure, located.offset, actual, f"{signature!r}")
        return False
    computed = vhdx.checksum_of(located.raw)
    if value.checksum != computed:
        actual = f"checksum is {value.checksum:#010x}"
        reading.note(structure, located.offset, actual, f"{computed:#010x}")
        return False
    return True


def _choose_header(reading: VhdxReading) -> None:
    sound = [
        index
        for index, located in enumerate(reading.headers)
        if _is_sound(reading, located, vhdx.HEADER_SIGNATURE, f"VHDX header {index + 1}")
    ]
    if not sound:
        raise CorruptImage(
            "VHDX headers",
            offset=vhdx.HEADER_OFFSETS[0],
            actual="neither of the two has the right signature and checksum",
            expected="at least one sound header",
        )
    active = max(sound, key=lambda index: reading.headers[index].value.sequence_number)
    first, second = (located.value for located in reading.headers)
    if len(sound) == 2 and first.sequence_number == second.sequence_number and first != second:
        raise damaged(
            "VHDX headers",
            vhdx.HEADER_OFFSETS[1],
            f"two different headers with sequence number {first.sequence_number}",
            "different numbers",
        )
    reading.active_header = active
    header = reading.headers[active].value
    reading.log_pending = header.log_guid != NIL
    if header.version != 1:
        raise UnsupportedImage(
            f"VHDX header {active + 1}",
            offset=vhdx.HEADER_OFFSETS[active],
            actual=f"version is {header.version}",
            expected="1",
        )


def _replay_log(reading: VhdxReading) -> None:
    """See the file through its log: what a crash left there has been promised to the guest."""
    header = reading.header
    if header is None or not reading.log_pending:
        return
    offset = vhdx.HEADER_OFFSETS[reading.active_header or 0]
    if header.log_version != 0:
        raise UnsupportedImage(
            "VHDX log", offset=offset, actual=f"version is {header.log_version}", expected="0"
        )
    start, length = header.log_offset, header.log_length
    aligned = start % MIB == 0 and length % MIB == 0
    if not aligned or length == 0 or start < MIB or start + length > reading.file.size:
        raise damaged(
            "VHDX log",
            offset,
            f"{length} bytes at offset {start:#x} of {reading.file.size}",
            "whole MiB inside the file",
        )
    log = _native.vhdx_replay_log(
        reading.file, log_offset=start, log_length=length, log_guid=header.log_guid.bytes_le
    )
    reading.log_entries = log.entries
    size = max(reading.file.size, log.file_size)
    reading.file = reading.file.with_patches(log.patches, size)
    _parse_region_tables(reading)


def _choose_region_table(reading: VhdxReading) -> None:
    for index, located in enumerate(reading.region_tables):
        name = f"VHDX region table {index + 1}"
        count = located.value.entry_count
        if not _is_sound(reading, located, vhdx.REGION_SIGNATURE, name):
            continue
        if count > vhdx.MAX_TABLE_ENTRIES:
            expected = f"at most {vhdx.MAX_TABLE_ENTRIES}"
            reading.note(name, located.offset, f"has {count} entries", expected)
        elif reading.active_region_table is None:
            reading.active_region_table = index
    if reading.active_region_table is None:
        raise CorruptImage(
            "VHDX region tables",
            offset=vhdx.REGION_TABLE_OFFSETS[0],
            actual="neither of the two has the right signature and checksum",
            expected="at least one sound table",
        )


def _find_regions(reading: VhdxReading) -> None:
    located = reading.region_tables[reading.active_region_table or 0]
    found: dict[UUID, vhdx.RegionEntry] = {}
    for entry in located.value.entries:
        if entry.guid not in _KNOWN_REGIONS:
            if entry.required:
                raise UnsupportedImage(
                    "VHDX region table",
                    offset=located.offset,
                    actual=f"it requires the unknown region {entry.guid}",
                    expected="the regions that the specification defines",
                )
            continue
        if entry.guid in found:
            raise damaged(
                "VHDX region table", located.offset, f"region {entry.guid} twice", "it once"
            )
        found[entry.guid] = entry
    reading.table = found.get(vhdx.BAT_REGION)
    reading.metadata = found.get(vhdx.METADATA_REGION)
    for name, region in (("block table", reading.table), ("metadata", reading.metadata)):
        if region is None:
            raise damaged("VHDX region table", located.offset, f"no {name} region", "one")
        _check_region(reading, region, f"VHDX {name} region", located.offset)
    _check_apart(reading, located.offset)


def _check_region(
    reading: VhdxReading, region: vhdx.RegionEntry, name: str, table_offset: int
) -> None:
    start, length = region.file_offset, region.length
    inside = start >= vhdx.HEADER_SECTION_SIZE and start + length <= reading.file.size
    if not inside or start % MIB or length % MIB or length == 0:
        raise damaged(
            name,
            table_offset,
            f"{length} bytes at offset {start:#x} of {reading.file.size}",
            "whole MiB inside the file",
        )


def _check_apart(reading: VhdxReading, table_offset: int) -> None:
    ranges = sorted(reading.reserved())
    for (start, length), (following, _) in pairwise(ranges):
        if start + length > following:
            raise damaged(
                "VHDX region table",
                table_offset,
                f"a region at offset {following:#x}",
                f"it after offset {start + length:#x}, where another one ends",
            )


def open_vhdx(reading: VhdxReading, parent: _native.Disk | None = None) -> _native.Disk:
    """Open a VHDX that was read without an error."""
    parameters, table = reading.file_parameters, reading.table
    size, sector_size = reading.virtual_size, reading.logical_sector_size
    if parameters is None or table is None or size is None or sector_size is None:
        raise ValueError("this VHDX was read with an error")
    return _native.Disk.vhdx(
        reading.file,
        size=size,
        table_offset=table.file_offset,
        table_length=table.length,
        block_size=parameters.block_size,
        sector_size=sector_size,
        differencing=parameters.has_parent,
        parent=parent,
    )


def data_write_guid(file: _native.File) -> UUID:
    """Return what a child knows this VHDX by.

    Raises:
        CorruptImage: There is no sound header.
    """
    reading = VhdxReading(file)
    _parse_headers(reading)
    _choose_header(reading)
    return reading.headers[reading.active_header or 0].value.data_write_guid


def wanted_parent(reading: VhdxReading) -> Wanted | None:
    """Return what a differencing disk says of its parent, None for other disks."""
    if reading.locator is None:
        return None
    values = dict(reading.locator.entries)
    identifiers = [_guid(values[key]) for key in _LINKAGE_KEYS if key in values]
    return Wanted(
        identifiers=tuple(guid for guid in identifiers if guid is not None) or (NIL,),
        timestamp=None,
        names=tuple((key, values[key]) for key in _PARENT_KEYS if values.get(key)),
    )


def _guid(text: str) -> UUID | None:
    try:
        return UUID(text.strip("\0"))
    except ValueError:
        return None
