"""What the first bytes of the disk tell of the file as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.rules.evidence import disk_hit
from vhdtool.rules.model import DiskLocation, Hit, Profile, Severity
from vhdtool.rules.registry import rule
from vhdtool.units import MIB, SECTOR_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.disk.facts import DiskFacts, PartitionFacts

_TAG = 64 * 1024
_TAG_SURROUNDINGS = 8 * SECTOR_SIZE
_OS_DISKS = (Profile.GEN1, Profile.GEN2, Profile.MARKETPLACE)


@rule("VHD043", "azure-disk-tag", severity=Severity.INFO, profiles=[Profile.MARKETPLACE])
def disk_tag(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    Whether there is a tag at 64 KiB: a sector that is not zero, alone among zeros, and outside all
    partitions.

    ## Why it matters
    A record there marks an image for its publisher. vhdtool never writes or moves it.

    ## How to fix
    Nothing is wrong.

    ## Source
    - OSInside/kiwi, kiwi/storage/subformat/vhdfixed.py
    """
    if facts.layout is None or not _is_free(facts.layout, _TAG):
        return
    first = facts.layout.first_mib
    tag = first[_TAG : _TAG + SECTOR_SIZE]
    before = first[_TAG - _TAG_SURROUNDINGS : _TAG]
    after = first[_TAG + SECTOR_SIZE : _TAG + _TAG_SURROUNDINGS]
    if any(tag) and not any(before) and not any(after):
        yield disk_hit(f"there is a disk tag at byte {_TAG}", _TAG, tag[:16], SECTOR_SIZE)


def _is_free(layout: PartitionFacts, offset: int) -> bool:
    """Whether a byte belongs to no partition and to no file system."""
    return layout.bare_signature is None and not any(
        partition.offset <= offset < partition.offset + partition.length
        for partition in layout.partitions
    )


@rule("VHD044", "no-disk-content", severity=Severity.WARNING, profiles=_OS_DISKS)
def no_content(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    An OS disk has a partition table, or at least a file system, and is not all zeros.

    ## Why it matters
    The image was cut short, or it is the wrong file: nothing on it can boot.

    ## How to fix
    Look at it with `vhdtool map` and `vhdtool info`, and build it again.

    ## Source
    - Field knowledge: truncated downloads and empty disks are uploaded by mistake
    """
    layout = facts.layout
    if layout is None:
        return
    place = DiskLocation(0, min(MIB, len(layout.first_mib)))
    if facts.all_zero:
        yield Hit("the disk holds nothing but zeros, expected a partition table", place)
    elif not any((layout.mbr, layout.primary_gpt, layout.backup_gpt, layout.bare_signature)):
        message = "the disk has no partition table and no known file system, expected one of them"
        yield disk_hit(message, 0, layout.first_mib[:16], len(layout.first_mib))
