"""Partitions against the ends of the virtual disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.rules.disk.places import describe, entry_hit, partition_hits, sector_size
from vhdtool.rules.disk.purpose import has_gpt
from vhdtool.rules.model import DiskLocation, Hit, Severity
from vhdtool.rules.registry import rule
from vhdtool.units import SECTOR_SIZE, human_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.disk.facts import DiskFacts, GptFacts, Partition, PartitionFacts

_LAST_USABLE_LBA = 48  # of a GPT header, 8 bytes


@rule("DSK113", "partition-outside-disk", severity=Severity.ERROR)
def partition_outside_disk(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    Each partition of the MBR or the GUID partition table ends inside the virtual disk and not
    before it starts, and so does the range that the GPT header calls usable. The chain of logical
    partitions can be followed to its end.

    ## Why it matters
    The end of the disk was cut off, usually by a tool that rounded the size down to whole
    cylinders. File systems that lack their last blocks do not mount, or fail later.

    ## How to fix
    Convert the image again from its source with `vhdtool convert`, which never shrinks a disk.

    ## Source
    - UEFI Specification 2.10, sections 5.2 and 5.3; QEMU documentation, `force_size` for VHD
    """
    layout, size = facts.layout, facts.virtual_size
    if layout is None or size is None:
        return
    for offset, problem in layout.problems:
        yield Hit(problem, DiskLocation(offset, SECTOR_SIZE))
    outside = [
        partition
        for partition in layout.partitions
        if partition.length <= 0 or partition.offset + partition.length > size
    ]
    yield from partition_hits(
        outside,
        lambda partition: _outside(layout, partition, size),
        f"outside the disk of {human_size(size)}",
    )
    table = layout.primary_gpt
    if table is not None and table.problem is None and has_gpt(layout) and not outside:
        yield from _usable_range(table, size, sector_size(facts))


def _outside(layout: PartitionFacts, partition: Partition, size: int) -> Hit:
    end = partition.offset + partition.length
    if partition.length <= 0:
        message = f"{describe(partition)} ends before it starts at byte {partition.offset}"
    else:
        message = (
            f"{describe(partition)} ends at byte {end}, {human_size(end - size)} past the end of "
            f"the disk at byte {size}"
        )
    return entry_hit(layout, partition, message)


def _usable_range(table: GptFacts, size: int, sector: int) -> Iterator[Hit]:
    last_lba = size // sector - 1
    if table.header.last_usable_lba > last_lba:
        yield Hit(
            f"the GPT header's last usable LBA is {table.header.last_usable_lba}, expected one "
            f"below the disk's last LBA {last_lba}",
            DiskLocation(table.offset + _LAST_USABLE_LBA, 8),
            table.raw[_LAST_USABLE_LBA : _LAST_USABLE_LBA + 8],
        )
