"""Mend the footers and the dynamic header of a VHD, as far as the rest of the file proves them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from vhdtool import _native
from vhdtool.disk.vhd import BLOCK_SIZES, is_block_size, table_entries
from vhdtool.errors import CorruptImage, UnsupportedImage
from vhdtool.formats.vhd import (
    DYNAMIC_HEADER_COOKIE,
    DYNAMIC_HEADER_SIZE,
    FOOTER_COOKIE,
    FOOTER_SIZE,
    VERSION_1_0,
    DiskType,
    DynamicHeader,
    Footer,
)
from vhdtool.units import MIB, SECTOR_SIZE, align_up, human_size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vhdtool.disk.edits import Edits
    from vhdtool.disk.facts import Located
    from vhdtool.disk.footers import Footers

_SPARSE_TYPES = (DiskType.DYNAMIC, DiskType.DIFFERENCING)
# What writers may leave between the last block and the footer, besides a block.
_MOST_SLACK = MIB
_RESTORE = "restore the image from its source; nothing was changed"


def mend_vhd(file: _native.File, edits: Edits, footers: Footers, path: Path) -> Footer:
    """Mend the structures of a VHD and return the footer that it then has.

    Raises:
        CorruptImage: The file does not prove what is right.
        UnsupportedImage: The disk type is none that is in use.
    """
    raw = _sound_footer(footers, path)
    footer = Footer.parse(raw)
    if footer.disk_type == DiskType.FIXED:
        _mend_fixed(edits, footers, footer, raw, path)
    elif footer.disk_type in _SPARSE_TYPES:
        _mend_sparse(file, edits, footers, footer, raw, path)
    else:
        raise UnsupportedImage(
            f"{path}: disk type is {footer.disk_type}, expected 2 (fixed), 3 (dynamic) or "
            "4 (differencing)"
        )
    return footer


def refuse(path: Path, structure: str, offset: int | None, actual: str, expected: str) -> NoReturn:
    """Give up an image that nothing proves right; nothing was changed."""
    raise CorruptImage(
        structure, offset=offset, actual=actual, expected=expected, path=path, hint=_RESTORE
    )


def _sound_footer(footers: Footers, path: Path) -> bytes:
    """Return the bytes of the footer that the disk shall have."""
    located, copy = footers.active, footers.copy
    if located.value.is_plausible:
        if copy is not None and copy is not located and copy.value.is_plausible:
            _require_same_disk(located, copy, path)
        return located.raw.ljust(FOOTER_SIZE, b"\0")
    for field, actual, expected in _faults(located):
        refuse(path, "VHD footer", located.offset, f"{field} is {actual}", expected)
    if copy is not None and copy is not located and _unsealed(copy) != _unsealed(located):
        refuse(path, "VHD footer", located.offset, "both copies are damaged", "one sound copy")
    return replace(located.value, cookie=FOOTER_COOKIE).sealed().build()


def _unsealed(located: Located[Footer]) -> Footer:
    return replace(located.value, cookie=FOOTER_COOKIE, checksum=0)


def _require_same_disk(last: Located[Footer], copy: Located[Footer], path: Path) -> None:
    """Refuse two sound footers of which it is not known which tells the truth."""
    for name in ("disk_type", "current_size", "data_offset", "unique_id"):
        ours, theirs = getattr(last.value, name), getattr(copy.value, name)
        if ours != theirs:
            field = name.replace("_", " ")
            refuse(
                path,
                "footer copy",
                copy.offset,
                f"{field} is {theirs}",
                f"{ours} as in the footer at {last.offset:#x}",
            )


def _faults(located: Located[Footer]) -> Iterator[tuple[str, str, str]]:
    """Yield (field, actual, expected) for what forbids to believe a footer without checksum."""
    footer = located.value
    known = [int(kind) for kind in DiskType if kind is not DiskType.NONE]
    if footer.disk_type not in known:
        yield "disk type", str(footer.disk_type), "2, 3 or 4"
    if footer.version != VERSION_1_0:
        yield "version", f"{footer.version:#010x}", f"{VERSION_1_0:#010x}"
    if footer.saved_state > 1:
        yield "saved state", str(footer.saved_state), "0 or 1"
    if any(footer.reserved[1:]):
        yield "reserved space", "not zero", "zeros"
    if footer.disk_type == DiskType.FIXED and footer.current_size != located.offset:
        yield "current size", str(footer.current_size), str(located.offset)
    if footer.disk_type in _SPARSE_TYPES:
        if footer.data_offset % SECTOR_SIZE:
            yield "data offset", f"{footer.data_offset:#x}", "a whole number of sectors"
        if footer.current_size != footer.original_size:
            # Nothing else in the file says to the byte how large the disk is.
            yield "current size", str(footer.current_size), f"{footer.original_size}, the original"


def _mend_fixed(edits: Edits, footers: Footers, footer: Footer, raw: bytes, path: Path) -> None:
    last = footers.footer
    size = footer.current_size
    if last is None or last.offset != size:
        twice = last is not None and last.offset == size + FOOTER_SIZE
        if not twice or footers.second_offset != size:
            data = edits.size if last is None else last.offset
            refuse(
                path, "fixed VHD", size, f"{human_size(data)} before the footer", human_size(size)
            )
    if edits.size > size + FOOTER_SIZE:
        surplus = edits.size - size - FOOTER_SIZE
        edits.truncate(size + FOOTER_SIZE, f"{surplus} bytes after the footer are cut off")
    edits.write(size, raw, _what(footers, "footer"))


def _what(footers: Footers, name: str) -> str:
    if footers.is_legacy:
        return f"{name} of 511 bytes gets its last byte"
    return name if footers.active.value.is_plausible else f"checksum of the {name}"


def _mend_sparse(
    file: _native.File, edits: Edits, footers: Footers, footer: Footer, raw: bytes, path: Path
) -> None:
    header = _mend_header(file, edits, footer, path)
    end = _end_of_blocks(file, footer, header, path)
    last = footers.footer
    if last is not None and last.value.is_plausible and last.offset >= end:
        place = last.offset
    else:
        place = _free_place(edits, end, last)
    if edits.size > place + FOOTER_SIZE:
        surplus = edits.size - place - FOOTER_SIZE
        edits.truncate(place + FOOTER_SIZE, f"{surplus} bytes after the footer are cut off")
    edits.write(place, raw, _what(footers, "footer"))
    edits.write(0, raw, "copy of the footer")


def _free_place(edits: Edits, end: int, last: Located[Footer] | None) -> int:
    """Return where a footer may be written: over a damaged or blank one, else after everything."""
    tail = edits.size - FOOTER_SIZE
    damaged = last is not None and last.offset == tail
    if tail >= end and (damaged or not any(edits.read_at(tail, FOOTER_SIZE))):
        return tail
    return max(end, align_up(edits.size, SECTOR_SIZE))


def _mend_header(file: _native.File, edits: Edits, footer: Footer, path: Path) -> DynamicHeader:
    offset = footer.data_offset
    raw = file.read_at(offset, DYNAMIC_HEADER_SIZE)
    if len(raw) < DYNAMIC_HEADER_SIZE or offset < FOOTER_SIZE:
        refuse(path, "dynamic header", offset, "outside of the file", "behind the footer copy")
    header = DynamicHeader.parse(raw)
    if header.cookie != DYNAMIC_HEADER_COOKIE:
        refuse(path, "dynamic header", offset, f"cookie is {header.cookie!r}", "b'cxsparse'")
    if not is_block_size(header.block_size):
        refuse(path, "dynamic header", offset, f"block size is {header.block_size}", BLOCK_SIZES)
    if header.checksum_ok:
        return header
    for field, actual, expected in _header_faults(header, footer, file.size):
        refuse(path, "dynamic header", offset, f"{field} is {actual}", expected)
    end = _end_of_blocks(file, footer, header, path)
    if end + header.block_size + _MOST_SLACK < file.size:
        # A table read from a wrong place says that all blocks are unused, or names other blocks.
        actual = f"its blocks end at {end:#x}"
        refuse(path, "block allocation table", header.table_offset, actual, f"near {file.size:#x}")
    header = header.sealed()
    edits.write(offset, header.build(), "checksum of the dynamic header")
    return header


def _header_faults(
    header: DynamicHeader, footer: Footer, file_size: int
) -> Iterator[tuple[str, str, str]]:
    if header.version != VERSION_1_0:
        yield "version", f"{header.version:#010x}", f"{VERSION_1_0:#010x}"
    if not 512 * 1024 <= header.block_size <= 64 * MIB or header.block_size & header.block_size - 1:
        yield "block size", str(header.block_size), "a power of two, 512 KiB to 64 MiB"
    elif header.max_table_entries < -(-footer.current_size // header.block_size):
        yield "number of table entries", str(header.max_table_entries), "enough for the disk"
    if header.table_offset % SECTOR_SIZE or header.table_offset > file_size:
        yield "table offset", f"{header.table_offset:#x}", "a sector inside the file"
    if any(header.reserved2):
        yield "reserved space", "not zero", "zeros"


def _end_of_blocks(file: _native.File, footer: Footer, header: DynamicHeader, path: Path) -> int:
    """Return the first byte after all tables and blocks; refuse blocks where they cannot be."""
    entries = table_entries(footer, header)
    table_end = header.table_offset + align_up(4 * entries, SECTOR_SIZE)
    reserved = [
        (0, FOOTER_SIZE),
        (footer.data_offset, DYNAMIC_HEADER_SIZE),
        (header.table_offset, table_end - header.table_offset),
    ]
    if header.table_offset < FOOTER_SIZE or header.table_offset + 4 * entries > file.size:
        refuse(path, "block allocation table", header.table_offset, "cut off", "whole")
    report = _native.vhd_table_report(
        file,
        size=footer.current_size,
        table_offset=header.table_offset,
        table_entries=entries,
        block_size=header.block_size,
        reserved=reserved,
        data_end=file.size,
    )
    for count, words in (
        (report.past_end_count, "past the end of the file"),
        (report.clobbering_count, "over a header or table"),
        (report.overlapping_count, "over another block"),
    ):
        if count:
            blocks = "1 block lies" if count == 1 else f"{count} blocks lie"
            refuse(
                path,
                "block allocation table",
                header.table_offset,
                f"{blocks} {words}",
                "each block in a place of its own",
            )
    return max(report.end_of_blocks, table_end, footer.data_offset + DYNAMIC_HEADER_SIZE)
