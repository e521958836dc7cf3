"""The parent of a differencing disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.rules.evidence import field_hit
from vhdtool.rules.model import Hit, Severity
from vhdtool.rules.registry import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.disk.facts import DiskFacts


@rule("VHD033", "parent-missing-or-wrong", severity=Severity.ERROR)
def parent(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The parent of a differencing disk can be found and is the disk that the child was made from:
    their unique IDs agree. A parent whose time differs from the one recorded is a warning.

    ## Why it matters
    Without its parent a differencing disk is full of holes; with a wrong one it is garbage. A
    changed time may mean that somebody wrote to the parent, or only that it was copied.

    ## How to fix
    `--parent-dir DIR` says where parents may be, and `--parent FILE` names one. Parents are looked
    for in the child's own folder and in folders that you name, never elsewhere just because an
    image says so.

    ## Source
    - Virtual Hard Disk Image Format Specification 1.0, "Parent Unique ID", "Parent Time Stamp"
    - [MS-VHDX] 2.6.2.6
    """
    owner = facts.vhd or facts.vhdx
    if owner is None or owner.parent is None:
        return
    found = owner.parent
    header = None if facts.vhd is None else facts.vhd.dynamic_header
    if found.error is not None:
        message = f"the parent cannot be used: {found.error}"
        yield Hit(message) if header is None else field_hit(message, header, 40, 16)
    elif (
        header is not None
        and found.timestamp is not None
        and found.found_timestamp is not None
        and found.timestamp != found.found_timestamp
    ):
        message = (
            f"the parent was last changed {found.found_timestamp} seconds after 2000-01-01,"
            f" expected {found.timestamp} as the child has it"
        )
        yield field_hit(message, header, 56, 4, Severity.WARNING)
