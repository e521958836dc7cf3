"""Describe the structures of a VHD, damaged fields beside what they should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.disk.timestamp import iso
from vhdtool.formats.chs import geometry_for
from vhdtool.formats.vhd import (
    DYNAMIC_HEADER_COOKIE,
    FOOTER_COOKIE,
    NO_OFFSET,
    VERSION_1_0,
    DiskType,
)
from vhdtool.report.sections import Field, Section
from vhdtool.units import human_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool._native import BitmapReport, TableReport
    from vhdtool.disk.facts import Located, ParentFacts, VhdFacts
    from vhdtool.formats.vhd import DynamicHeader, Footer

_CREATORS = {
    b"win ": "Windows, Hyper-V",
    b"vpc ": "Virtual PC",
    b"vs  ": "Virtual Server",
    b"vbox": "VirtualBox",
    b"qemu": "qemu-img",
    b"qem2": "qemu-img with force_size",
    b"d2v ": "disk2vhd",
    b"tap\0": "XenServer",
    b"CTXS": "Citrix",
    b"wa\0\0": "Azure",
    b"dutl": "DiscUtils",
    b"vht ": "vhdtool",
}
_TYPES = {2: "fixed", 3: "dynamic", 4: "differencing"}
_OLD_NO_OFFSET = 0xFFFF_FFFF  # as the specification prints it


def _hex(name: str, value: int, expected: int | None = None, digits: int = 8) -> Field:
    wrong = expected is not None and expected != value
    return Field(
        name,
        value,
        f"{value:#0{digits + 2}x}",
        f"{expected:#0{digits + 2}x}" if wrong else None,
    )


def _time(name: str, timestamp: int, expected: str | None = None) -> Field:
    return Field(name, timestamp, f"{timestamp} ({iso(timestamp)})", expected)


def _bytes(name: str, value: bytes, expected: bytes | None = None, text: str = "") -> Field:
    shown = value.decode("latin-1")
    return Field(
        name,
        shown,
        f"{shown!r} {text}".rstrip(),
        None if expected in (None, value) else f"{(expected or b'').decode('latin-1')!r}",
    )


def describe_vhd(vhd: VhdFacts, file_size: int) -> Iterator[Section]:
    """Yield the sections of a VHD."""
    if vhd.footer is not None:
        problem = None
        if vhd.trailing_bytes:
            problem = f"{vhd.trailing_bytes} bytes follow the footer"
        elif vhd.legacy_footer:
            problem = "511 bytes, as before Virtual PC 2004"
        yield _footer("footer", vhd.footer, problem)
    else:
        yield Section("footer", problem="there is none at the end of the file")
    if vhd.footer_copy is not None:
        problem = None
        if vhd.footer is not None and vhd.footer_copy.raw != vhd.footer.raw:
            problem = "not the same as the footer"
        yield _footer("footer copy", vhd.footer_copy, problem)
    elif vhd.active.value.disk_type in (DiskType.DYNAMIC, DiskType.DIFFERENCING):
        yield Section("footer copy", offset=0, problem="there is none")
    if vhd.second_footer_offset is not None:
        yield Section(
            "second footer",
            offset=vhd.second_footer_offset,
            problem="a footer inside the data of the disk",
        )
    if vhd.dynamic_header is not None:
        yield _dynamic_header(vhd.dynamic_header, vhd.active.value)
        yield from _locators(vhd.dynamic_header.value)
    if vhd.table is not None:
        yield _table(vhd.table)
    if vhd.bitmaps is not None:
        yield _bitmaps(vhd.bitmaps)


def _footer(title: str, located: Located[Footer], problem: str | None) -> Section:
    footer = located.value
    fixed = footer.disk_type == DiskType.FIXED
    sound_offset = not fixed or footer.data_offset in (NO_OFFSET, _OLD_NO_OFFSET)
    geometry, by_rule = footer.geometry, geometry_for(footer.current_size)
    size_wrong = fixed and footer.current_size != located.offset
    known_type = footer.disk_type in _TYPES
    return Section(
        title,
        (
            _bytes("cookie", footer.cookie, FOOTER_COOKIE),
            _hex("features", footer.features, footer.features | 2),
            _hex("version", footer.version, VERSION_1_0),
            _hex("data_offset", footer.data_offset, None if sound_offset else NO_OFFSET, 16),
            _time("timestamp", footer.timestamp),
            _bytes(
                "creator_application",
                footer.creator_application,
                text=_CREATORS.get(footer.creator_application, ""),
            ),
            _hex("creator_version", footer.creator_version),
            _bytes("creator_host_os", footer.creator_host_os),
            Field("original_size", footer.original_size, human_size(footer.original_size)),
            Field(
                "current_size",
                footer.current_size,
                human_size(footer.current_size),
                human_size(located.offset) if size_wrong else None,
            ),
            Field(
                "geometry",
                f"{geometry.cylinders}/{geometry.heads}/{geometry.sectors_per_track}",
                f"{geometry.cylinders} cylinders, {geometry.heads} heads, "
                f"{geometry.sectors_per_track} sectors = {human_size(geometry.size)}",
                None
                if geometry == by_rule or geometry.is_maximum
                else f"{by_rule.cylinders}/{by_rule.heads}/{by_rule.sectors_per_track} "
                "by the specification",
            ),
            Field(
                "disk_type",
                footer.disk_type,
                f"{footer.disk_type} ({_TYPES.get(footer.disk_type, 'not in use')})",
                None if known_type else "2, 3 or 4",
            ),
            _hex(
                "checksum",
                footer.checksum,
                None if footer.checksum_ok else footer.computed_checksum,
            ),
            Field("unique_id", str(footer.unique_id)),
            Field("saved_state", footer.saved_state, expected="0" if footer.saved_state else None),
            Field(
                "reserved",
                "zeros" if not any(footer.reserved) else footer.reserved.rstrip(b"\0").hex(),
                expected="zeros" if any(footer.reserved) else None,
            ),
        ),
        offset=located.offset,
        problem=problem,
    )


def _dynamic_header(located: Located[DynamicHeader], footer: Footer) -> Section:
    header = located.value
    needed = -(-footer.current_size // header.block_size) if header.block_size else None
    short = needed is not None and header.max_table_entries < needed
    size = header.block_size
    return Section(
        "dynamic header",
        (
            _bytes("cookie", header.cookie, DYNAMIC_HEADER_COOKIE),
            _hex("data_offset", header.data_offset, NO_OFFSET, 16),
            _hex("table_offset", header.table_offset),
            _hex("version", header.version, VERSION_1_0),
            Field(
                "max_table_entries",
                header.max_table_entries,
                expected=f"at least {needed}" if short else None,
            ),
            Field(
                "block_size",
                size,
                human_size(size),
                None if size and not size & (size - 1) else "a power of two",
            ),
            _hex(
                "checksum",
                header.checksum,
                None if header.checksum_ok else header.computed_checksum,
            ),
            Field("parent_unique_id", str(header.parent_unique_id)),
            _time("parent_timestamp", header.parent_timestamp)
            if header.parent_timestamp
            else Field("parent_timestamp", 0),
            Field("parent_name", header.parent_name, repr(header.parent_name)),
        ),
        offset=located.offset,
    )


def _locators(header: DynamicHeader) -> Iterator[Section]:
    used = [locator for locator in header.locators if any(locator.platform_code)]
    if used:
        yield Section(
            "parent locators",
            columns=("code", "offset", "length", "space"),
            rows=tuple(
                (
                    locator.platform_code.decode("latin-1"),
                    locator.data_offset,
                    locator.data_length,
                    locator.data_space,
                )
                for locator in used
            ),
        )


def _table(table: TableReport) -> Section:
    def count(name: str, value: int) -> Field:
        return Field(name, value, expected="0" if value else None)

    return Section(
        "block allocation table",
        (
            Field("entries", table.entries),
            Field("allocated", table.allocated),
            Field("beyond_size", table.beyond_size),
            count("past_end", table.past_end_count),
            count("clobbering", table.clobbering_count),
            count("overlapping", table.overlapping_count),
            _hex("end_of_blocks", table.end_of_blocks),
        ),
    )


def _bitmaps(bitmaps: BitmapReport) -> Section:
    found = bitmaps.nonzero_bytes
    return Section(
        "sector bitmaps",
        (
            Field("blocks", bitmaps.blocks),
            Field("examined", bitmaps.examined),
            Field("clear_sectors", bitmaps.clear_sectors),
            Field("nonzero_bytes_in_them", found, expected="0" if found else None),
        ),
    )


def describe_parent(parent: ParentFacts) -> Section:
    """Describe what a differencing disk says of its parent."""
    fields = [Field("unique_id", str(parent.unique_id))]
    if parent.timestamp is not None:
        fields.append(_time("timestamp", parent.timestamp))
    fields += [Field(f"name_{code}", name) for code, name in parent.names]
    fields += [Field("searched", str(path)) for path in parent.searched]
    fields.append(Field("found", None if parent.path is None else str(parent.path)))
    if parent.found_unique_id is not None:
        # A VHDX may name two identifiers: which of them fits has been judged.
        expected = str(parent.unique_id) if parent.path is None else None
        fields.append(Field("found_unique_id", str(parent.found_unique_id), expected=expected))
    if parent.timestamp is not None and parent.found_timestamp is not None:
        expected = iso(parent.timestamp) if parent.is_changed else None
        fields.append(_time("found_timestamp", parent.found_timestamp, expected))
    return Section("parent", tuple(fields), problem=parent.error)
