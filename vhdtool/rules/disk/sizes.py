"""Virtual sizes that Azure takes, by what the disk is for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.rules.disk.purpose import Guest, guest, system_disk
from vhdtool.rules.model import Hit, Profile, Severity
from vhdtool.rules.registry import rule
from vhdtool.units import GIB, TIB, human_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.disk.facts import DiskFacts

_GENERATION_1_LIMIT = 2 * TIB
_GENERATION_2_LIMIT = 4095 * GIB
_DATA_DISK_LIMIT = 32767 * GIB
_OLD_LIMIT = 1023 * GIB
_CUSTOMARY = {Guest.LINUX: 30 * GIB, Guest.WINDOWS: 127 * GIB}


def _above(facts: DiskFacts, limit: int, of: str) -> Iterator[Hit]:
    if facts.virtual_size is not None and facts.virtual_size > limit:
        yield Hit(
            f"virtual size is {human_size(facts.virtual_size)}, expected at most "
            f"{human_size(limit)} for {of}"
        )


@rule("DSK108", "generation-1-disk-too-large", severity=Severity.ERROR, profiles=(Profile.GEN1,))
def generation_1_disk_too_large(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The virtual size of a generation 1 OS disk is at most 2 TiB.

    ## Why it matters
    A master boot record counts sectors in 32 bits, so what lies beyond 2 TiB cannot be used.

    ## How to fix
    Shrink the file systems and then the disk, or build the image for generation 2.

    ## Source
    - Azure, "Frequently asked questions about Azure IaaS VM disks"
    - Azure, "Support for generation 2 VMs"
    """
    yield from _above(facts, _GENERATION_1_LIMIT, "a generation 1 OS disk")


@rule("DSK109", "generation-2-disk-too-large", severity=Severity.ERROR, profiles=(Profile.GEN2,))
def generation_2_disk_too_large(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The virtual size of a generation 2 OS disk is at most 4095 GiB.

    ## Why it matters
    Azure has no larger OS disks.

    ## How to fix
    Shrink the file systems and then the disk; keep data on data disks.

    ## Source
    - Azure, "Frequently asked questions about Azure IaaS VM disks"
    - Azure, "Support for generation 2 VMs"
    """
    yield from _above(facts, _GENERATION_2_LIMIT, "a generation 2 OS disk")


@rule("DSK110", "data-disk-too-large", severity=Severity.ERROR, profiles=(Profile.DATA_DISK,))
def data_disk_too_large(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The virtual size of a data disk is at most 32767 GiB.

    ## Why it matters
    Azure has no larger disks.

    ## How to fix
    Spread the data over several disks.

    ## Source
    - Azure, "Frequently asked questions about Azure IaaS VM disks"
    - Azure, "Upload a VHD to Azure or copy a managed disk to another region"
    """
    yield from _above(facts, _DATA_DISK_LIMIT, "a data disk")


@rule("DSK111", "above-old-linux-limit", severity=Severity.INFO)
def above_old_linux_limit(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The virtual size of a Linux OS disk is at most 1023 GiB.

    ## Why it matters
    Azure's pages on Linux images still state that limit. It comes from disks in page blobs;
    managed disks may be larger.

    ## How to fix
    Nothing needs to be done, unless the image goes to the Marketplace, where the limit holds
    (DSK134).

    ## Source
    - Azure, "Prepare Linux for imaging" (create-upload-generic and create-upload-ubuntu)
    """
    if system_disk(facts, Guest.LINUX) is not None:
        yield from _above(facts, _OLD_LIMIT, "a Linux disk according to Azure's older pages")


@rule("DSK136", "larger-than-customary", severity=Severity.INFO)
def larger_than_customary(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The virtual size of an OS disk is at most the customary one: 30 GiB for Linux, 127 GiB for
    Windows.

    ## Why it matters
    Every machine made from the image gets, and pays for, a disk at least that large. A disk can be
    grown when a machine is made, but never shrunk.

    ## How to fix
    Nothing needs to be done if the space is wanted.

    ## Source
    - KIWI documentation, "Build a virtual disk image for Azure" (30 GiB)
    - The OS disks of the Windows images that Azure offers have 127 GiB.
    """
    layout = system_disk(facts)
    system = None if layout is None else guest(layout)
    if system is not None:
        yield from _above(facts, _CUSTOMARY[system], f"an ordinary {system} OS disk")
