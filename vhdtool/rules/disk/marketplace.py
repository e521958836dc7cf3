"""What the Azure Marketplace asks of disks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool import _native
from vhdtool.rules.disk.places import describe, entry_hit, first_mib_hit, sector_size
from vhdtool.rules.disk.purpose import Guest, boots, has_grub, system_disk
from vhdtool.rules.evidence import counted
from vhdtool.rules.model import Hit, Profile, Severity
from vhdtool.rules.registry import rule
from vhdtool.units import GIB, KIB, MIB, SECTOR_SIZE, human_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.disk.facts import DiskFacts, PartitionFacts

_AZURE_TAG = 64 * KIB  # one sector
_FREE = MIB
# Fields of GRUB's images: boot.img has the LBA of diskboot.img, which ends with a list of the
# ranges that follow it, 12 bytes each, written from its end downward.
_CORE_LBA = 0x5C
_FIRST_RANGE = 0x1F4
_RANGE_LENGTH = 12
_LEAST_RANGE = 0x1B0


@rule("DSK114", "no-free-first-mib", severity=Severity.ERROR, profiles=(Profile.MARKETPLACE,))
def no_free_first_mib(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The first partition of an OS disk starts at 1 MiB (LBA 2048 of 512 bytes) or later.

    ## Why it matters
    The Marketplace writes billing metadata into the first MiB of the OS disk. A partition there
    would be damaged, so certification refuses it.

    ## How to fix
    Build the image again with aligned partitions; to move one is to move its file system.

    ## Source
    - Azure Marketplace, "VM certification FAQ"
    - Azure, "Security recommendations for Azure Marketplace images"
    """
    layout = system_disk(facts)
    if layout is None or not layout.partitions:
        return
    first = min(layout.partitions, key=lambda partition: partition.offset)
    if first.offset < _FREE:
        yield entry_hit(
            layout,
            first,
            f"{describe(first)} starts at byte {first.offset} (LBA "
            f"{first.offset // sector_size(facts)}), expected {_FREE} or later",
        )


@rule("DSK115", "data-in-first-mib", severity=Severity.WARNING, profiles=(Profile.MARKETPLACE,))
def data_in_first_mib(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The first MiB of an OS disk holds nothing but partition tables, partitions, GRUB's core image
    and the publisher's tag at 64 KiB (VHD043).

    ## Why it matters
    The Marketplace writes billing metadata there: what it overwrites is lost, and certification
    wants the space free.

    ## How to fix
    Find out what the data is. Leftovers from an earlier use of the disk may be zeroed.

    ## Source
    - Azure Marketplace, "VM certification FAQ"
    - KIWI documentation, "Build a virtual disk image for Azure" (the tag)
    - Certified images for generation 1 have GRUB in this gap, so that passes here.
    """
    layout = system_disk(facts)
    if layout is None:
        return
    found = list(_unknown_sectors(layout, sector_size(facts)))
    if found:
        yield first_mib_hit(
            layout,
            counted(len(found), "sector in the first MiB holds", "sectors in the first MiB hold")
            + f" unknown data, the first at byte {found[0]}, expected zeros outside partition "
            "tables and GRUB",
            found[0],
            SECTOR_SIZE,
        )


def _unknown_sectors(layout: PartitionFacts, sector: int) -> Iterator[int]:
    known = [(0, sector), (_AZURE_TAG, _AZURE_TAG + SECTOR_SIZE)]
    table = layout.primary_gpt
    if table is not None:
        start = table.header.entries_lba * sector
        known += [(sector, 2 * sector), (start, start + table.header.array_size)]
    starts = [partition.offset for partition in layout.partitions if partition.offset < _FREE]
    end = min((start for start in starts if start > 0), default=_FREE)
    known += _grub_core(layout)
    for offset in range(0, min(end, len(layout.first_mib)), SECTOR_SIZE):
        if any(first <= offset < last for first, last in known):
            continue
        if not _native.is_zero(layout.first_mib[offset : offset + SECTOR_SIZE]):
            yield offset


def _grub_core(layout: PartitionFacts) -> Iterator[tuple[int, int]]:
    """The ranges of GRUB's core image in the gap, with as much again for its parity sectors."""
    if layout.mbr is None or not has_grub(layout):
        return
    lba = int.from_bytes(layout.mbr.boot_code[_CORE_LBA : _CORE_LBA + 8], "little")
    start = lba * SECTOR_SIZE
    loader = layout.first_mib[start : start + SECTOR_SIZE]
    if lba == 0 or len(loader) < SECTOR_SIZE:
        return
    yield start, start + SECTOR_SIZE
    for at in range(_FIRST_RANGE, _LEAST_RANGE - 1, -_RANGE_LENGTH):
        first = int.from_bytes(loader[at : at + 8], "little") * SECTOR_SIZE
        length = int.from_bytes(loader[at + 8 : at + 10], "little") * SECTOR_SIZE
        if length == 0:
            return
        yield first, first + 2 * length


def _outside(facts: DiskFacts, least: int, most: int, of: str) -> Iterator[Hit]:
    size = facts.virtual_size
    if size is not None and not least <= size <= most:
        yield Hit(
            f"virtual size is {human_size(size)}, expected {least // GIB} GiB to {most // GIB} GiB "
            f"for {of} in the Marketplace"
        )


@rule(
    "DSK133", "marketplace-windows-size", severity=Severity.ERROR, profiles=(Profile.MARKETPLACE,)
)
def marketplace_windows_size(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The virtual size of a Windows OS disk is 30 GiB to 250 GiB.

    ## Why it matters
    Certification refuses other sizes without an exception.

    ## How to fix
    Resize the volume and then the disk, or ask the Marketplace for an exception.

    ## Source
    - Azure Marketplace, "VM certification FAQ". Its table says TiB where GB must be meant.
    """
    if system_disk(facts, Guest.WINDOWS) is not None:
        yield from _outside(facts, 30 * GIB, 250 * GIB, "a Windows OS disk")


@rule("DSK134", "marketplace-linux-size", severity=Severity.ERROR, profiles=(Profile.MARKETPLACE,))
def marketplace_linux_size(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The virtual size of a Linux OS disk is 1 GiB to 1023 GiB.

    ## Why it matters
    Certification refuses other sizes without an exception.

    ## How to fix
    Resize the file systems and then the disk, or ask the Marketplace for an exception.

    ## Source
    - Azure Marketplace, "VM certification FAQ"
    """
    if system_disk(facts, Guest.LINUX) is not None:
        yield from _outside(facts, GIB, 1023 * GIB, "a Linux OS disk")


@rule("DSK135", "marketplace-data-size", severity=Severity.ERROR, profiles=(Profile.MARKETPLACE,))
def marketplace_data_size(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The virtual size of a disk that nothing boots from is 1 GiB to 1023 GiB.

    ## Why it matters
    Certification refuses data disks of other sizes without an exception.

    ## How to fix
    Resize the disk, or ask the Marketplace for an exception.

    ## Source
    - Azure Marketplace, "VM certification FAQ"
    """
    if facts.layout is not None and not boots(facts.layout):
        yield from _outside(facts, GIB, 1023 * GIB, "a data disk")
