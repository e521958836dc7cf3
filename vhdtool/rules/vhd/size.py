"""The size of the virtual disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.rules.evidence import field_hit
from vhdtool.rules.model import Severity
from vhdtool.rules.registry import rule
from vhdtool.units import GIB, MIB, align_up, human_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.disk.facts import DiskFacts
    from vhdtool.rules.model import Hit

_CURRENT_SIZE = 48
_LARGEST_VHD = 2040 * GIB
_SMALLEST_UPLOAD = 20 * MIB


@rule("VHD007", "virtual-size-not-whole-mib", severity=Severity.ERROR)
def virtual_size(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The virtual size in the footer is a whole number of MiB.

    ## Why it matters
    Azure refuses to make a disk from any other image, after the upload.

    ## How to fix
    `vhdtool convert IMAGE OUT.vhd` grows the disk to the next MiB and moves the GPT backup along;
    `vhdtool repair IMAGE` does the same to a fixed VHD in place. The disk is never shrunk.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    - Azure Marketplace, VM certification FAQ
    """
    if facts.vhd is None:
        return
    size = facts.vhd.active.value.current_size
    if size % MIB:
        following = align_up(size, MIB)
        yield field_hit(
            f"virtual size is {human_size(size)}: {size % MIB} bytes past a whole MiB; next valid"
            f" size {following} bytes ({following // MIB} MiB)",
            facts.vhd.active,
            _CURRENT_SIZE,
            8,
        )


@rule("VHD018", "original-size-differs", severity=Severity.INFO)
def original_size(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The original size in the footer equals the current one.

    ## Why it matters
    The disk was resized. That is allowed, but unusual for an image that is to be uploaded, and its
    partitions may not fill the disk.

    ## How to fix
    Nothing needs to be done; `vhdtool convert` writes a footer with equal sizes.

    ## Source
    - Virtual Hard Disk Image Format Specification 1.0, "Original Size", "Current Size"
    """
    if facts.vhd is None:
        return
    footer = facts.vhd.active.value
    if footer.original_size != footer.current_size:
        yield field_hit(
            f"original size is {human_size(footer.original_size)}, expected the current size"
            f" {human_size(footer.current_size)}",
            facts.vhd.active,
            40,
            8,
        )


@rule("VHD035", "larger-than-2040-gib", severity=Severity.WARNING)
def larger_than_format(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The virtual size is at most 2040 GiB.

    ## Why it matters
    The dynamic format and most tools end there; qemu refuses larger disks. A fixed VHD can be
    larger, and Azure takes up to 32 TiB, but advises VHD for files below 2 TB.

    ## How to fix
    Make the disk smaller and grow it in Azure, or make sure that every tool on the way can read it.

    ## Source
    - Azure, "Upload a VHD to Azure" (02/2026); qemu block/vpc.c, at most 0xFF000000 sectors
    """
    if facts.vhd is None:
        return
    size = facts.vhd.active.value.current_size
    if size > _LARGEST_VHD:
        message = f"virtual size is {human_size(size)}, expected at most {human_size(_LARGEST_VHD)}"
        yield field_hit(message, facts.vhd.active, _CURRENT_SIZE, 8)


@rule("VHD036", "smaller-than-20-mib", severity=Severity.ERROR)
def smaller_than_upload(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The virtual size is at least 20 MiB.

    ## Why it matters
    A managed disk that is created for an upload takes no fewer than 20972032 bytes: 20 MiB and the
    footer.

    ## How to fix
    `vhdtool convert --align 20MiB IMAGE OUT.vhd`

    ## Source
    - Azure REST, disks: uploadSizeBytes from 20972032 to 35183298347520
    - Azure Marketplace, VM certification FAQ
    """
    if facts.vhd is None:
        return
    size = facts.vhd.active.value.current_size
    if size < _SMALLEST_UPLOAD:
        expected = human_size(_SMALLEST_UPLOAD)
        message = f"virtual size is {human_size(size)}, expected at least {expected}"
        yield field_hit(message, facts.vhd.active, _CURRENT_SIZE, 8)
