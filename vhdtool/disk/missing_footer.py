"""Give a footer to the data of a fixed VHD that lost its own."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from vhdtool.disk.create import new_footer
from vhdtool.disk.mend_vhd import refuse
from vhdtool.disk.timestamp import now
from vhdtool.errors import CorruptImage
from vhdtool.formats.gpt import SIGNATURE as GPT_SIGNATURE
from vhdtool.formats.gpt import GptHeader, header_crc32_of
from vhdtool.formats.mbr import BOOT_SIGNATURE
from vhdtool.formats.vhd import (
    DYNAMIC_HEADER_COOKIE,
    FOOTER_COOKIE,
    FOOTER_SIZE,
    DiskType,
    Footer,
)
from vhdtool.units import MIB, SECTOR_SIZE

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from vhdtool import _native
    from vhdtool.disk.edits import Edits


def add_footer(
    file: _native.File,
    edits: Edits,
    path: Path,
    *,
    unique_id: UUID | None = None,
    timestamp: int | None = None,
) -> Footer:
    """Give a footer to a raw disk that is named like a VHD.

    Raises:
        CorruptImage: The file does not look like the data of a fixed VHD.
    """
    head = file.read_at(0, 3 * SECTOR_SIZE)
    if head.startswith(FOOTER_COOKIE) or head[SECTOR_SIZE:].startswith(DYNAMIC_HEADER_COOKIE):
        refuse(path, "dynamic VHD", None, "both footers are lost", "one sound copy")
    bootable = head[510:512] == BOOT_SIGNATURE or head[SECTOR_SIZE:].startswith(GPT_SIGNATURE)
    if not bootable or file.size % SECTOR_SIZE:
        raise CorruptImage(
            "VHD footer",
            actual="missing, and the file does not look like a disk",
            expected="a partition table or boot sector at its start, and whole sectors",
            path=path,
            hint="`vhdtool convert` makes a fixed VHD of a raw disk of any content",
        )
    size = file.size
    tail = Footer.parse(file.read_at(max(0, size - FOOTER_SIZE), FOOTER_SIZE))
    if tail.cookie == FOOTER_COOKIE:
        # A footer whose fields cannot all be right; detection took the file for a raw disk.
        actual = f"current size is {tail.current_size}"
        refuse(path, "VHD footer", size - FOOTER_SIZE, actual, f"{size - FOOTER_SIZE}")
    if size % MIB == FOOTER_SIZE and size > FOOTER_SIZE:
        size -= FOOTER_SIZE
        if any(file.read_at(size, FOOTER_SIZE)):
            refuse(path, "VHD footer", size, "damaged beyond recognition", "a footer, or zeros")
    _require_uncut(head[SECTOR_SIZE : 2 * SECTOR_SIZE], size, path)
    footer = new_footer(
        size,
        disk_type=DiskType.FIXED,
        unique_id=unique_id or uuid4(),
        timestamp=now() if timestamp is None else timestamp,
    )
    edits.write(size, footer.build(), "missing footer")
    return footer


def _require_uncut(sector: bytes, size: int, path: Path) -> None:
    """Refuse a disk that ends before its partition table says: more than the footer is lost."""
    if not sector.startswith(GPT_SIGNATURE):
        return
    header = GptHeader.parse(sector)
    end = (header.backup_lba + 1) * SECTOR_SIZE
    if header_crc32_of(sector) == header.header_crc32 and end > size:
        refuse(path, "disk", None, f"it ends at {size:#x}", f"{end:#x} by its GPT")
