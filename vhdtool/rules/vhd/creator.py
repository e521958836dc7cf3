"""Who made the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.rules.evidence import field_hit
from vhdtool.rules.model import Severity
from vhdtool.rules.registry import rule
from vhdtool.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.disk.facts import DiskFacts
    from vhdtool.rules.model import Hit

_KNOWN = frozenset(
    {
        b"win ",  # Windows, Hyper-V
        b"vpc ",  # Virtual PC
        b"vs  ",  # Virtual Server
        b"qemu",  # qemu-img, size by geometry
        b"qem2",  # qemu-img with force_size
        b"vbox",  # VirtualBox
        b"d2v ",  # Disk2vhd
        b"d2v\0",
        b"tap\0",  # XenServer
        b"CTXS",  # Citrix
        b"wa\0\0",  # Azure
        b"wa  ",
        b"dutl",  # DiscUtils
        b"xo  ",  # Xen Orchestra
        b"jmva",  # VhdAttach
        b"vht ",  # vhdtool
        b"\0\0\0\0",  # hcsshim, OpenVMM
    }
)
_NO_CREATOR = b"\0\0\0\0"
_HOSTS = (b"Wi2k", b"Mac ")
_WITHOUT_HOST = (b"\0\0\0\0", b"tap\0")


@rule("VHD025", "creator-unknown", severity=Severity.INFO)
def creator(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The creator application is one that is known.

    ## Why it matters
    By the creator some readers choose between the size and the geometry. Azure does not care.

    ## How to fix
    Nothing needs to be done.

    ## Source
    - The creators that qemu, blktap, DiscUtils, Xen Orchestra, VhdAttach and hcsshim write or know
    """
    if facts.vhd is None:
        return
    found = facts.vhd.active.value.creator_application
    if found not in _KNOWN:
        text = printable(found.decode("latin-1"))
        yield field_hit(
            f"creator application is '{text}', expected a known one", facts.vhd.active, 28, 4
        )


@rule("VHD026", "creator-host-unknown", severity=Severity.INFO)
def creator_host(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The creator's host system is `Wi2k` or `Mac `. Zeros pass from XenServer and from writers that
    leave the creator zero too.

    ## Why it matters
    Only these two are defined. No reader is known to care.

    ## How to fix
    Nothing needs to be done; `vhdtool convert` writes `Wi2k`.

    ## Source
    - Virtual Hard Disk Image Format Specification 1.0, "Creator Host OS"
    """
    if facts.vhd is None:
        return
    footer = facts.vhd.active.value
    found = footer.creator_host_os
    if found in _HOSTS or (found == _NO_CREATOR and footer.creator_application in _WITHOUT_HOST):
        return
    text = printable(found.decode("latin-1"))
    yield field_hit(
        f"creator host OS is '{text}', expected 'Wi2k' or 'Mac '", facts.vhd.active, 36, 4
    )
