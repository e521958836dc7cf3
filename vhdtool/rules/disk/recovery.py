"""Windows' recovery partition, by the partition table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.rules.disk.places import describe, entry_hit
from vhdtool.rules.disk.purpose import Guest, system_disk
from vhdtool.rules.model import Severity
from vhdtool.rules.registry import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.disk.facts import DiskFacts
    from vhdtool.rules.model import Hit

_RECOVERY = frozenset(("0x27", "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC"))
_DATA = frozenset(("0x07", "0x7", "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"))


@rule("WIN457", "recovery-partition-behind-windows", severity=Severity.INFO)
def recovery_partition_behind_windows(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    No recovery partition lies behind the last partition for data of a Windows OS disk.

    ## Why it matters
    The volume with Windows cannot grow over it when the disk is enlarged.

    ## How to fix
    Disable the recovery environment (`reagentc /disable`) and delete the partition.

    ## Source
    - MicrosoftDocs/SupportArticles-docs, "Cannot extend volume: recovery partition"
    """
    layout = system_disk(facts, Guest.WINDOWS)
    if layout is None:
        return
    data = [partition for partition in layout.partitions if partition.type_code in _DATA]
    if not data:
        return
    last = max(data, key=lambda partition: partition.offset)
    for partition in layout.partitions:
        if partition.type_code in _RECOVERY and partition.offset > last.offset:
            message = f"{describe(partition)} is for recovery and lies behind {describe(last)}"
            yield entry_hit(layout, partition, message)
