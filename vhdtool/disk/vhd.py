"""Read and judge the structures of a VHD, and open it.

Reading accepts anything, since rules show what is wrong; opening accepts only what can be read
without a guess.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool import _native
from vhdtool.disk.chain import Wanted
from vhdtool.disk.facts import Located, VhdFacts
from vhdtool.errors import CorruptImage, UnsupportedImage
from vhdtool.formats.vhd import (
    DYNAMIC_HEADER_COOKIE,
    DYNAMIC_HEADER_SIZE,
    MAX_BLOCK_SIZE,
    MIN_BLOCK_SIZE,
    DiskType,
    DynamicHeader,
    Footer,
)
from vhdtool.units import TIB, human_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.disk.footers import Footers

# Where a locator says that its name is, as far as we believe it: a Windows path has 32767 units.
_MAX_LOCATOR_LENGTH = 65536
# Far above any disk; below it no sum of offsets overflows 63 bits.
_MAX_SIZE = 1024 * 1024 * TIB
_LOCATOR_ENCODINGS = {b"W2ru": "utf-16-le", b"W2ku": "utf-16-le", b"MacX": "utf-8"}
BLOCK_SIZES = f"a power of two, {MIN_BLOCK_SIZE} to {MAX_BLOCK_SIZE}"
_REPAIR = "`vhdtool repair` restores a footer where its other copy or the rest of it is sound"


def read_vhd(file: _native.File, footers: Footers) -> VhdFacts:
    """Collect the structures of a VHD, without its block allocation table and parent."""
    header = None
    footer = footers.active.value
    if footer.disk_type in (DiskType.DYNAMIC, DiskType.DIFFERENCING):
        raw = file.read_at(footer.data_offset, DYNAMIC_HEADER_SIZE)
        if len(raw) == DYNAMIC_HEADER_SIZE:
            header = Located(footer.data_offset, raw, DynamicHeader.parse(raw))
    return VhdFacts(
        footer=footers.footer,
        footer_copy=footers.copy,
        active=footers.active,
        trailing_bytes=footers.trailing_bytes,
        second_footer_offset=footers.second_offset,
        legacy_footer=footers.is_legacy,
        dynamic_header=header,
        table=None,
        bitmaps=None,
        parent=None,
    )


def check_vhd(file: _native.File, vhd: VhdFacts) -> None:
    """Refuse a VHD that cannot be read without a guess.

    Raises:
        CorruptImage: A structure contradicts itself or the file.
        UnsupportedImage: The disk type is none that is in use.
    """
    footer = vhd.active.value
    if not footer.is_plausible:
        raise CorruptImage(
            "VHD footer",
            offset=vhd.active.offset,
            actual=f"checksum is {footer.checksum:#010x}",
            expected=f"{footer.computed_checksum:#010x}",
            hint=_REPAIR,
        )
    if footer.disk_type == DiskType.FIXED:
        _check_fixed(vhd.active, footer)
    elif footer.disk_type in (DiskType.DYNAMIC, DiskType.DIFFERENCING):
        _check_dynamic(file, vhd, footer)
    else:
        raise UnsupportedImage(
            "VHD footer",
            offset=vhd.active.offset,
            actual=f"disk type is {footer.disk_type}",
            expected="2 (fixed), 3 (dynamic) or 4 (differencing)",
        )


def _check_fixed(located: Located[Footer], footer: Footer) -> None:
    if footer.current_size == 0 or footer.current_size > located.offset:
        raise CorruptImage(
            "fixed VHD",
            offset=located.offset,
            actual=f"{located.offset} bytes of data in front of the footer",
            expected=human_size(footer.current_size),
            hint="the file was cut, or copied without its end: get it again from its source",
        )


def _check_dynamic(file: _native.File, vhd: VhdFacts, footer: Footer) -> None:
    if not 0 < footer.current_size <= _MAX_SIZE:
        raise CorruptImage(
            "VHD footer",
            offset=vhd.active.offset,
            actual=f"current size is {footer.current_size}",
            expected=f"1 to {_MAX_SIZE}",
        )
    if vhd.dynamic_header is None:
        raise CorruptImage(
            "dynamic header",
            offset=footer.data_offset,
            actual=f"the file has {file.size} bytes",
            expected=f"{DYNAMIC_HEADER_SIZE} bytes of header",
        )
    header = vhd.dynamic_header.value
    for actual, expected in _header_faults(header):
        raise CorruptImage(
            "dynamic header", offset=vhd.dynamic_header.offset, actual=actual, expected=expected
        )
    table_size = 4 * table_entries(footer, header)
    if header.table_offset + table_size > file.size:
        raise CorruptImage(
            "block allocation table",
            offset=header.table_offset,
            actual=f"the file has {file.size} bytes",
            expected=f"{table_size} bytes of table",
        )


def _header_faults(header: DynamicHeader) -> Iterator[tuple[str, str]]:
    if header.cookie != DYNAMIC_HEADER_COOKIE:
        yield f"cookie is {header.cookie!r}", f"{DYNAMIC_HEADER_COOKIE!r}"
    if not header.checksum_ok:
        yield f"checksum is {header.checksum:#010x}", f"{header.computed_checksum:#010x}"
    if not is_block_size(header.block_size):
        yield f"block size is {header.block_size}", BLOCK_SIZES


def is_block_size(size: int) -> bool:
    """Whether blocks of a dynamic VHD may have this size, as far as we read them."""
    return MIN_BLOCK_SIZE <= size <= MAX_BLOCK_SIZE and not size & (size - 1)


def has_sound_table(file: _native.File, vhd: VhdFacts) -> bool:
    """Whether footer and header are good enough to look at the block allocation table."""
    footer = vhd.active.value
    try:
        _check_dynamic(file, vhd, footer)
    except CorruptImage:
        return False
    return footer.is_plausible


def needed_entries(footer: Footer, header: DynamicHeader) -> int:
    """Return how many table entries the disk's size needs."""
    return -(-footer.current_size // header.block_size)


def table_entries(footer: Footer, header: DynamicHeader) -> int:
    """Return how many table entries are used: those needed, as far as the table has them."""
    return min(header.max_table_entries, needed_entries(footer, header))


def open_vhd(
    file: _native.File,
    vhd: VhdFacts,
    *,
    ignore_bitmap: bool = False,
    parent: _native.Disk | None = None,
) -> _native.Disk:
    """Open a VHD that `check_vhd` accepted; its size is the footer's current size."""
    footer = vhd.active.value
    if vhd.dynamic_header is None:
        return _native.Disk.flat(file, 0, footer.current_size)
    header = vhd.dynamic_header.value
    return _native.Disk.vhd(
        file,
        size=footer.current_size,
        table_offset=header.table_offset,
        table_entries=table_entries(footer, header),
        block_size=header.block_size,
        differencing=footer.disk_type == DiskType.DIFFERENCING,
        ignore_bitmap=ignore_bitmap,
        parent=parent,
    )


def wanted_parent(file: _native.File, vhd: VhdFacts) -> Wanted | None:
    """Return what a differencing disk says of its parent, None for other disks."""
    if vhd.active.value.disk_type != DiskType.DIFFERENCING or vhd.dynamic_header is None:
        return None
    header = vhd.dynamic_header.value
    names = []
    for code, encoding in _LOCATOR_ENCODINGS.items():
        for locator in header.locators:
            if locator.platform_code == code and locator.data_length <= _MAX_LOCATOR_LENGTH:
                raw = file.read_at(locator.data_offset, locator.data_length)
                names.append((code.decode(), raw.decode(encoding, "replace").rstrip("\0")))
    if header.parent_name:
        names.append(("header", header.parent_name))
    return Wanted(
        identifiers=(header.parent_unique_id,),
        timestamp=header.parent_timestamp,
        names=tuple((code, name) for code, name in names if name),
    )
