"""Describe the structures of a VHDX."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.formats import vhdx as vhdx_format
from vhdtool.report.sections import Field, Section
from vhdtool.units import human_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool._native import VhdxTableReport
    from vhdtool.disk.facts import Located, VhdxFacts
    from vhdtool.formats.vhdx import Header, RegionTable

_REGIONS = {
    vhdx_format.BAT_REGION: "block allocation table",
    vhdx_format.METADATA_REGION: "metadata",
}
_STATES = (
    "not present",
    "undefined",
    "zero",
    "unmapped",
    "state 4",
    "state 5",
    "fully present",
    "partially present",
)


def describe_vhdx(vhdx: VhdxFacts) -> Iterator[Section]:
    """Yield the sections of a VHDX."""
    for number, header in enumerate(vhdx.headers):
        yield _header(number, header, active=number == vhdx.active_header)
    for number, table in enumerate(vhdx.region_tables):
        yield _region_table(number, table, active=number == vhdx.active_region_table)
    yield _metadata(vhdx)
    if vhdx.table is not None:
        yield _table(vhdx.table)
    if vhdx.problems:
        yield Section(
            "problems of the structures", columns=("offset", "problem"), rows=tuple(vhdx.problems)
        )


def _checksum(value: int, computed: int) -> Field:
    expected = None if value == computed else f"{computed:#010x}"
    return Field("checksum", value, f"{value:#010x}", expected)


def _signature(value: bytes, expected: bytes) -> Field:
    shown = value.decode("latin-1")
    wrong = None if value == expected else repr(expected.decode("latin-1"))
    return Field("signature", shown, repr(shown), wrong)


def _header(number: int, located: Located[Header], *, active: bool) -> Section:
    header = located.value
    return Section(
        f"VHDX header {number + 1}{' (in use)' if active else ''}",
        (
            _signature(header.signature, vhdx_format.HEADER_SIGNATURE),
            _checksum(header.checksum, vhdx_format.checksum_of(located.raw)),
            Field("sequence_number", header.sequence_number),
            Field("file_write_guid", str(header.file_write_guid)),
            Field("data_write_guid", str(header.data_write_guid)),
            Field("log_guid", str(header.log_guid)),
            Field("log_version", header.log_version),
            Field("version", header.version, expected=None if header.version == 1 else "1"),
            Field("log_length", header.log_length, human_size(header.log_length)),
            Field("log_offset", header.log_offset, f"{header.log_offset:#x}"),
        ),
        offset=located.offset,
    )


def _region_table(number: int, located: Located[RegionTable], *, active: bool) -> Section:
    table = located.value
    return Section(
        f"region table {number + 1}{' (in use)' if active else ''}",
        (
            _signature(table.signature, vhdx_format.REGION_SIGNATURE),
            _checksum(table.checksum, vhdx_format.checksum_of(located.raw)),
            *(
                Field(
                    f"region_{at + 1}",
                    f"{entry.guid} at {entry.file_offset}, {entry.length} bytes",
                    f"{_REGIONS.get(entry.guid, entry.guid)} at {entry.file_offset:#x}, "
                    f"{human_size(entry.length)}{', required' if entry.required else ''}",
                )
                for at, entry in enumerate(table.entries)
            ),
        ),
        offset=located.offset,
    )


def _metadata(vhdx: VhdxFacts) -> Section:
    parameters = vhdx.file_parameters
    fields = [Field("creator", vhdx.creator)]
    if parameters is not None:
        fields += [
            Field("block_size", parameters.block_size, human_size(parameters.block_size)),
            Field("leave_blocks_allocated", parameters.leave_blocks_allocated),
            Field("has_parent", parameters.has_parent),
        ]
    size = vhdx.virtual_size
    fields += [
        Field("virtual_disk_size", size, None if size is None else human_size(size)),
        Field("logical_sector_size", vhdx.logical_sector_size),
        Field("physical_sector_size", vhdx.physical_sector_size),
        Field("virtual_disk_id", None if vhdx.disk_id is None else str(vhdx.disk_id)),
        Field("log_pending", vhdx.log_pending, expected="no" if vhdx.log_pending else None),
    ]
    if vhdx.log_entries is not None:
        fields.append(Field("log_entries_replayed", vhdx.log_entries))
    return Section("VHDX metadata and log", tuple(fields))


def _table(table: VhdxTableReport) -> Section:
    def count(name: str, value: int) -> Field:
        return Field(name, value, expected="0" if value else None)

    return Section(
        "block allocation table",
        (
            Field("entries", table.entries),
            *(
                Field(name.replace(" ", "_"), number)
                for name, number in zip(_STATES, table.states, strict=False)
                if number
            ),
            count("bad_states", table.bad_state_count),
            count("past_end", table.past_end_count),
            count("clobbering", table.clobbering_count),
            count("overlapping", table.overlapping_count),
        ),
    )
