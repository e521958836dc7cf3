"""What the first bytes of the disk tell of the file as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.rules.evidence import disk_hit
from vhdtool.rules.model import DiskLocation, Hit, Profile, Severity
from vhdtool.rules.registry import rule
from vhdtool.units import MIB, SECTOR_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.disk.facts import DiskFacts

_TAG = 64 * 1024
_TAG_SURROUNDINGS = 8 * SECTOR_SIZE
_OS_DISKS = (Profile.GEN1, Profile.GEN2, Profile.MARKETPLACE)


@rule("VHD043", "azure-disk-tag", severity=Severity.INFO, profiles=[Profile.MARKETPLACE])
def disk_tag(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    Whether a tag stands at 64 KiB: a sector that is not zero, alone among zeros.

    ## Why it matters
    Azure keeps a record there that marks the publisher's image. vhdtool never writes or moves it.

    ## How to fix
    Nothing is wrong.

    ## Source
    - OSInside/kiwi, kiwi/storage/subformat/vhdfixed.py
    """
    if facts.layout is None:
        return
    first = facts.layout.first_mib
    tag = first[_TAG : _TAG + SECTOR_SIZE]
    before = first[_TAG - _TAG_SURROUNDINGS : _TAG]
    after = first[_TAG + SECTOR_SIZE : _TAG + _TAG_SURROUNDINGS]
    if any(tag) and not any(before) and not any(after):
        yield disk_hit("a disk tag stands at offset 0x10000", _TAG, tag[:16], SECTOR_SIZE)


@rule("VHD044", "no-disk-content", severity=Severity.WARNING, profiles=_OS_DISKS)
def no_content(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    An OS disk has a partition table, or at least a file system, and is not all zeros.

    ## Why it matters
    The image was cut, or it is the wrong file: nothing on it can boot.

    ## How to fix
    Look at it with `vhdtool map` and `vhdtool info`; make it again.

    ## Source
    - Field knowledge: truncated downloads and empty disks are uploaded by mistake
    """
    layout = facts.layout
    if layout is None:
        return
    place = DiskLocation(0, min(MIB, len(layout.first_mib)))
    if facts.all_zero:
        yield Hit("the disk holds nothing but zeros", place)
    elif not layout.partitions and layout.bare_signature is None and layout.mbr is None:
        message = "the disk has no partition table and no file system that is known"
        yield disk_hit(message, 0, layout.first_mib[:16], MIB)
