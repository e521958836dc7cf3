"""Find the footers of a VHD: at its end, before trailing bytes, and the copy at its start.

A fixed VHD has no mark but its footer, and guest data may hold anything, other footers included.
So a footer counts only where its checksum and its sizes say that it is this file's own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from vhdtool.disk.facts import Located
from vhdtool.formats.gpt import SIGNATURE as GPT_SIGNATURE
from vhdtool.formats.gpt import GptHeader
from vhdtool.formats.mbr import MasterBootRecord
from vhdtool.formats.vhd import (
    DYNAMIC_HEADER_COOKIE,
    FOOTER_COOKIE,
    FOOTER_SIZE,
    LEGACY_FOOTER_SIZE,
    DiskType,
    Footer,
)
from vhdtool.units import KIB, MIB, SECTOR_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool._native import File

# How far before the end of a file a footer is looked for that bytes were appended to.
SEARCH_LENGTH = 4 * MIB
_SEARCH_PIECE = 256 * KIB
_MAX_CANDIDATES = 4096
_SPARSE_TYPES = (DiskType.DYNAMIC, DiskType.DIFFERENCING)


@dataclass(frozen=True, slots=True)
class Footers:
    """The footers of one VHD. `active` is the sound one to read it by, or else the best there is.

    Attributes:
        footer: The last one in the file, at its end or before `trailing_bytes`.
        copy: The one at offset 0; None in fixed disks.
        second_offset: Where a further sound footer ends the data.
    """

    footer: Located[Footer] | None
    copy: Located[Footer] | None
    active: Located[Footer]
    trailing_bytes: int
    second_offset: int | None

    @property
    def is_legacy(self) -> bool:
        """Whether the footer is one of Virtual PC before 2004."""
        return self.footer is not None and len(self.footer.raw) == LEGACY_FOOTER_SIZE


def find_footers(file: File) -> Footers | None:
    """Return the footers of a VHD, None when the file is none. Reads at most about 4 MiB."""
    last = _at_end(file)
    copy = _copy_at_start(file)
    if last is not None and last.value.is_plausible:
        if _is_guest_data(file, last, copy):
            last = None
        elif last.value.disk_type not in _SPARSE_TYPES:
            copy = None
    if last is None:
        last = _before_trailing_bytes(file, copy)
        if last is not None and last.value.disk_type not in _SPARSE_TYPES:
            copy = None
    active = _choose(file, last, copy)
    if active is None:
        return None
    end = file.size if last is None else last.offset + len(last.raw)
    return Footers(
        footer=last,
        copy=copy,
        active=active,
        trailing_bytes=file.size - end,
        second_offset=_second(file, active),
    )


def _choose(
    file: File, last: Located[Footer] | None, copy: Located[Footer] | None
) -> Located[Footer] | None:
    """Prefer a sound footer to a damaged one, and the end of the file to its start."""
    for located in (last, copy):
        if located is not None and located.value.is_plausible:
            return located
    # Damaged only: a VHD still, if more than the cookie speaks for it.
    if copy is not None and _has_dynamic_header(file, copy.value):
        return last or copy
    if last is not None:
        footer = last.value
        if footer.disk_type in _SPARSE_TYPES:
            return last if copy is not None or _has_dynamic_header(file, footer) else None
        return last if footer.current_size == last.offset else None
    return None


def _read(file: File, offset: int, length: int) -> Located[Footer] | None:
    raw = file.read_at(offset, length)
    if len(raw) < length:
        return None
    footer = Footer.parse(raw)
    if footer.cookie != FOOTER_COOKIE and not _would_be_sound(footer):
        return None
    return Located(offset, raw, footer)


def _would_be_sound(footer: Footer) -> bool:
    """Whether only the cookie is damaged."""
    return replace(footer, cookie=FOOTER_COOKIE).checksum_ok


def _at_end(file: File) -> Located[Footer] | None:
    if file.size >= FOOTER_SIZE:
        located = _read(file, file.size - FOOTER_SIZE, FOOTER_SIZE)
        if located is not None:
            return located
    if file.size % SECTOR_SIZE == LEGACY_FOOTER_SIZE:
        return _read(file, file.size - LEGACY_FOOTER_SIZE, LEGACY_FOOTER_SIZE)
    return None


def _copy_at_start(file: File) -> Located[Footer] | None:
    located = _read(file, 0, FOOTER_SIZE)
    if located is None or located.value.disk_type not in _SPARSE_TYPES:
        return None
    return located


def _is_guest_data(file: File, last: Located[Footer], copy: Located[Footer] | None) -> bool:
    """Whether a sound footer at the end of the file belongs to a VHD stored inside a raw disk."""
    footer = last.value
    if footer.disk_type in _SPARSE_TYPES:
        if copy is not None or _has_dynamic_header(file, footer):
            return False
        return _partitioned_size(file) > 0
    surplus = last.offset - footer.current_size
    return surplus > footer.current_size or _partitioned_size(file) > footer.current_size


def _partitioned_size(file: File) -> int:
    """Return the end of what a partition table at the start of the file divides, 0 without one.

    What lies past the end of the file does not count: then the table proves nothing.
    """
    head = file.read_at(0, 2 * SECTOR_SIZE)
    if len(head) < 2 * SECTOR_SIZE:
        return 0
    ends = [0]
    if head[SECTOR_SIZE : SECTOR_SIZE + 8] == GPT_SIGNATURE:
        ends.append((GptHeader.parse(head[SECTOR_SIZE:]).backup_lba + 1) * SECTOR_SIZE)
    record = MasterBootRecord.parse(head)
    if record.has_signature:
        ends += [
            (entry.first_lba + entry.sector_count) * SECTOR_SIZE
            for entry in record.entries
            if entry.is_used and entry.status in (0, 0x80) and entry.first_lba
        ]
    return max(end for end in ends if end <= file.size)


def _has_dynamic_header(file: File, footer: Footer) -> bool:
    return file.read_at(footer.data_offset, 8) == DYNAMIC_HEADER_COOKIE


def _before_trailing_bytes(file: File, copy: Located[Footer] | None) -> Located[Footer] | None:
    """Find the last footer that something was appended to.

    It must be sound, and say of itself that the disk ends where it stands, or be the twin of a
    sound copy at the start: anything less may be guest data.
    """
    for offset in islice(_cookies_backwards(file), _MAX_CANDIDATES):
        located = _trailed(file.read_at(offset, FOOTER_SIZE), offset, copy)
        if located is not None:
            return located
    return None


def _cookies_backwards(file: File) -> Iterator[int]:
    """Yield where cookies are, the last first; in pieces, which is several times as fast."""
    overlap = len(FOOTER_COOKIE) - 1
    start = file.size
    while start > max(0, file.size - SEARCH_LENGTH):
        start = max(0, start - _SEARCH_PIECE)
        piece = file.read_at(start, _SEARCH_PIECE + overlap)
        # Forwards first: most pieces have none, and to search backwards is slow.
        end = len(piece) if FOOTER_COOKIE in piece else 0
        while (at := piece.rfind(FOOTER_COOKIE, 0, end)) >= 0:
            if start + at > 0:
                yield start + at
            end = at + overlap


def _trailed(raw: bytes, offset: int, copy: Located[Footer] | None) -> Located[Footer] | None:
    if len(raw) < LEGACY_FOOTER_SIZE:
        return None
    ends_here = int.from_bytes(raw[48:56], "big") == offset
    is_twin = copy is not None and raw[68:84] == copy.raw[68:84]
    if not ends_here and not is_twin:
        return None
    footer = Footer.parse(raw)
    fits = is_twin if footer.disk_type in _SPARSE_TYPES else ends_here
    return Located(offset, raw, footer) if fits and footer.is_plausible else None


def _second(file: File, active: Located[Footer]) -> int | None:
    """Return the offset of a sound footer that was appended to once more, or wrapped."""
    ends = {active.offset}
    if active.value.disk_type == DiskType.FIXED:
        ends.add(active.value.current_size)
    for end in sorted(ends):
        offset = end - FOOTER_SIZE
        if 0 < offset < file.size:
            located = _read(file, offset, FOOTER_SIZE)
            if located is not None and located.value.is_plausible:
                return offset
    return None
