"""Hits that point at a partition or at bytes of the first MiB."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.rules.evidence import MOST_EVIDENCE
from vhdtool.rules.model import DiskLocation, Hit
from vhdtool.text import printable
from vhdtool.units import SECTOR_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from vhdtool.disk.facts import DiskFacts, Partition, PartitionFacts
    from vhdtool.rules.model import Severity

_MBR_ENTRY = 16
_GPT_ENTRY = 128
# As many as a GPT entry holds.
_MAX_NAME = 36
# A hostile table has thousands of partitions; the first few tell all.
_MAX_HITS = 16


def sector_size(facts: DiskFacts) -> int:
    """The disk's logical sector size in bytes."""
    return facts.sector_size or SECTOR_SIZE


def describe(partition: Partition) -> str:
    """Name a partition: `partition 2 (Linux, "root")`."""
    kind = partition.type_name
    if kind == "unknown":
        kind = f"type {partition.type_code}"
    name = f', "{printable(partition.name[:_MAX_NAME])}"' if partition.name else ""
    return f"partition {partition.number} ({kind}{name})"


def entry_hit(
    layout: PartitionFacts, partition: Partition, message: str, severity: Severity | None = None
) -> Hit:
    """A hit at a partition's entry in its table."""
    length = _GPT_ENTRY if partition.scheme == "gpt" else _MBR_ENTRY
    start = partition.entry_offset
    return Hit(
        message,
        DiskLocation(start, length),
        layout.first_mib[start : start + min(length, MOST_EVIDENCE)],
        severity,
    )


def partition_hits(
    partitions: Iterable[Partition], hit: Callable[[Partition], Hit], rest: str
) -> Iterator[Hit]:
    """A hit for each of the first partitions, and one that counts the rest."""
    left = 0
    for index, partition in enumerate(partitions):
        if index < _MAX_HITS:
            yield hit(partition)
        else:
            left += 1
    if left:
        yield Hit(f"further partitions {rest}: {left}")


def volume_hit(
    partition: Partition,
    message: str,
    *,
    at: int = 0,
    length: int = 0,
    severity: Severity | None = None,
) -> Hit:
    """A hit in a partition's boot sector; `length` 0 stands for its first bytes."""
    size = length or MOST_EVIDENCE
    return Hit(
        message,
        DiskLocation(partition.offset + at, size),
        partition.boot_sector[at : at + size],
        severity,
    )


def first_mib_hit(
    layout: PartitionFacts, message: str, offset: int, length: int, severity: Severity | None = None
) -> Hit:
    """A hit at bytes of the first MiB."""
    evidence = layout.first_mib[offset : offset + min(length, MOST_EVIDENCE)]
    return Hit(message, DiskLocation(offset, length), evidence, severity)
