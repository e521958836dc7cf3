"""The structures of a VHDX."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.rules.evidence import field_hit
from vhdtool.rules.model import FileLocation, Hit, Severity
from vhdtool.rules.registry import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.disk.facts import DiskFacts


@rule("VHD040", "vhdx-log-pending", severity=Severity.ERROR)
def log_pending(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The log of a VHDX is empty.

    ## Why it matters
    Its writer was interrupted. The tables in the file are not right until the log is replayed, and
    readers that ignore it return wrong data without saying so.

    ## How to fix
    `vhdtool convert IMAGE OUT.vhd` replays the log in memory. To mend the VHDX itself, open and
    close it in Hyper-V, or `qemu-img check -r all IMAGE`.

    ## Source
    - [MS-VHDX] 2.3, "Log"
    """
    if facts.vhdx is None or not facts.vhdx.log_pending:
        return
    entries = facts.vhdx.log_entries
    state = "it cannot be replayed" if entries is None else f"entries to replay: {entries}"
    message = f"the log is not empty ({state}), expected an empty one"
    if facts.vhdx.active_header is None:
        yield Hit(message)
    else:
        yield field_hit(message, facts.vhdx.headers[facts.vhdx.active_header], 48, 16)


@rule("VHD041", "vhdx-with-parent", severity=Severity.ERROR)
def has_parent(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The VHDX has no parent.

    ## Why it matters
    A differencing disk holds only what differs from its parent, and Azure does not take it.

    ## How to fix
    `vhdtool convert IMAGE OUT.vhd` merges the whole chain.

    ## Source
    - [MS-VHDX] 2.6.2.1, HasParent
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    """
    if facts.vhdx is None or facts.vhdx.file_parameters is None:
        return
    if facts.vhdx.file_parameters.has_parent:
        yield Hit("the VHDX is a differencing disk (HasParent is 1), expected one without a parent")


@rule("VHD042", "vhdx-structure-damaged", severity=Severity.ERROR)
def structures(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The headers, region tables and metadata of a VHDX have the right signatures and checksums and
    lie inside the file, and none of them requires a feature that is not known. Damage that the file
    can still be read with is a warning.

    ## Why it matters
    A VHDX has two copies of its headers and region tables. One damaged copy is a sign of a failing
    disk or an interrupted writer; if both are damaged, the file cannot be read.

    ## How to fix
    Open and close the disk in Hyper-V, which writes both copies again, or go back to a good copy.

    ## Source
    - [MS-VHDX] 2.2 and 2.6
    """
    if facts.vhdx is None:
        return
    # What the file can still be read without is a warning.
    severity = Severity.WARNING if facts.open_error is None else None
    for offset, problem in facts.vhdx.problems:
        yield Hit(problem, FileLocation(offset, 4), severity=severity)
