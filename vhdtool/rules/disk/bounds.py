"""Partitions against the ends of the virtual disk."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from vhdtool.rules.disk.places import describe, entry_hit, sector_size
from vhdtool.rules.model import DiskLocation, Hit, Severity
from vhdtool.rules.registry import rule
from vhdtool.units import human_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.disk.facts import DiskFacts, GptFacts, PartitionFacts

# A hostile table has thousands of entries; the first few tell all.
_MAX_HITS = 16
_LAST_USABLE_LBA = 48  # of a GPT header, 8 bytes


@rule("DSK113", "partition-outside-disk", severity=Severity.ERROR)
def partition_outside_disk(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    Each partition of the MBR or the GUID partition table ends inside the virtual disk and not
    before it starts, and so does the range that the GPT header calls usable.

    ## Why it matters
    The tail of the disk was cut off, mostly by a tool that rounded the size down to whole
    cylinders. File systems that lack their last blocks do not mount, or fail later.

    ## How to fix
    Convert the image again from the source with `vhdtool convert`, which never shrinks a disk.

    ## Source
    - UEFI Specification 2.10, section 5.3; QEMU documentation of `force_size` for VHD
    """
    layout, size = facts.layout, facts.virtual_size
    if layout is None or size is None:
        return
    hits = _partitions(layout, size, sector_size(facts))
    yield from islice(hits, _MAX_HITS)
    more = sum(1 for _ in hits)
    if more:
        yield Hit(f"{more} more partitions are not inside the disk of {human_size(size)}")
    table = layout.primary_gpt
    if table is not None and table.problem is None:
        yield from _usable_range(table, size, sector_size(facts))


def _partitions(layout: PartitionFacts, size: int, sector: int) -> Iterator[Hit]:
    for partition in layout.partitions:
        end = partition.offset + partition.length
        if partition.length <= 0:
            yield entry_hit(
                layout,
                partition,
                f"{describe(partition)} ends before it starts at byte {partition.offset}, "
                f"expected at least one sector of {sector} bytes",
            )
        elif end > size:
            yield entry_hit(
                layout,
                partition,
                f"{describe(partition)} ends at byte {end}, {human_size(end - size)} past the end "
                f"of the disk at byte {size}",
            )


def _usable_range(table: GptFacts, size: int, sector: int) -> Iterator[Hit]:
    last_lba = size // sector - 1
    if table.header.last_usable_lba > last_lba:
        yield Hit(
            f"the GPT header's last usable LBA is {table.header.last_usable_lba}, expected one "
            f"before the disk's last LBA {last_lba}",
            DiskLocation(table.offset + _LAST_USABLE_LBA, 8),
            table.raw[_LAST_USABLE_LBA : _LAST_USABLE_LBA + 8],
        )
