"""Describe everything that is known of an image, structure by structure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.formats import gpt as gpt_format
from vhdtool.formats import mbr as mbr_format
from vhdtool.report.describe_vhd import describe_parent, describe_vhd
from vhdtool.report.describe_vhdx import describe_vhdx
from vhdtool.report.sections import Field, Section
from vhdtool.units import SECTOR_SIZE, human_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from vhdtool.disk.facts import DiskFacts, GptFacts, PartitionFacts
    from vhdtool.formats.mbr import MasterBootRecord

# One file of a chain: its path, format and virtual size.
Link = tuple["Path", str, int]


def describe(facts: DiskFacts, chain: Sequence[Link] = ()) -> list[Section]:
    """Return the sections of an image; `chain` is the image and its parents, if it has any."""
    sections = [_image(facts)]
    if facts.vhd is not None:
        sections += describe_vhd(facts.vhd, facts.file_size)
    if facts.vhdx is not None:
        sections += describe_vhdx(facts.vhdx)
    for parent in (facts.vhd and facts.vhd.parent, facts.vhdx and facts.vhdx.parent):
        if parent:
            sections.append(describe_parent(parent))
    if len(chain) > 1:
        rows = tuple((str(path), kind, size) for path, kind, size in chain)
        sections.append(Section("chain", columns=("file", "format", "size"), rows=rows))
    if facts.layout is not None:
        sections += _layout(facts.layout, facts.virtual_size or 0)
    return sections


def _size_field(name: str, size: int | None, expected: int | None = None) -> Field:
    wrong = expected is not None and expected != size
    return Field(
        name,
        size,
        None if size is None else human_size(size),
        human_size(expected) if wrong and expected is not None else None,
    )


def _image(facts: DiskFacts) -> Section:
    fields = [
        Field("file", str(facts.path)),
        Field("format", str(facts.format)),
        _size_field("file_size", facts.file_size),
        _size_field("allocated_size", facts.allocated_size),
        _size_field("virtual_size", facts.virtual_size),
        Field("sector_size", facts.sector_size),
    ]
    if facts.open_error is not None:
        fields.append(Field("cannot_be_opened", facts.open_error))
    fields += [Field("not_read", gap) for gap in facts.gaps]
    return Section("image", tuple(fields))


def _layout(layout: PartitionFacts, size: int) -> Iterator[Section]:
    if layout.mbr is not None:
        yield _mbr(layout.mbr)
    for title, table, last in (
        ("primary GPT header", layout.primary_gpt, 1),
        ("backup GPT header", layout.backup_gpt, size // SECTOR_SIZE - 1),
    ):
        if table is not None:
            yield _gpt(title, table, last)
    if layout.partitions:
        yield Section(
            "partitions",
            columns=("number", "offset", "length", "type", "content", "name"),
            rows=tuple(
                (
                    part.number,
                    part.offset,
                    part.length,
                    f"{part.type_code} {part.type_name}",
                    "" if part.signature is None else str(part.signature),
                    part.name,
                )
                for part in layout.partitions
            ),
        )
    elif layout.bare_signature is not None:
        yield Section("content", (Field("file_system", str(layout.bare_signature)),))
    if layout.problems:
        yield Section(
            "problems of the partition table",
            columns=("offset", "problem"),
            rows=tuple(layout.problems),
        )


def _mbr(record: MasterBootRecord) -> Section:
    used = [entry for entry in record.entries if entry.is_used]
    return Section(
        "master boot record",
        (
            Field("disk_signature", record.disk_signature, f"{record.disk_signature:#010x}"),
            Field("protective", record.is_protective),
            *(
                Field(
                    f"entry_{entry.index + 1}",
                    f"{entry.type_code:#04x} from sector {entry.first_lba}, "
                    f"{entry.sector_count} sectors",
                    f"{entry.type_code:#04x} {mbr_format.type_name(entry.type_code)}, from sector "
                    f"{entry.first_lba}, {entry.sector_count} sectors"
                    + (", active" if entry.status & 0x80 else ""),
                )
                for entry in used
            ),
        ),
        offset=0,
    )


def _gpt(title: str, table: GptFacts, lba: int) -> Section:
    header = table.header
    crc = gpt_format.header_crc32_of(table.raw)
    return Section(
        title,
        (
            Field("revision", header.revision, f"{header.revision:#010x}"),
            Field("header_size", header.header_size),
            Field(
                "header_crc32",
                header.header_crc32,
                f"{header.header_crc32:#010x}",
                None if table.header_crc_ok or crc is None else f"{crc:#010x}",
            ),
            Field(
                "current_lba",
                header.current_lba,
                expected=None if header.current_lba == lba else str(lba),
            ),
            Field("backup_lba", header.backup_lba),
            Field("first_usable_lba", header.first_usable_lba),
            Field("last_usable_lba", header.last_usable_lba),
            Field("disk_guid", str(header.disk_guid).upper()),
            Field("entries_lba", header.entries_lba),
            Field("entry_count", header.entry_count),
            Field("entry_size", header.entry_size),
            Field(
                "entries_crc32",
                header.entries_crc32,
                f"{header.entries_crc32:#010x}",
                None if table.entries_crc_ok is not False else "the CRC of the entries",
            ),
        ),
        offset=table.offset,
        problem=table.problem,
    )
