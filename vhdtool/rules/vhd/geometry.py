"""Cylinders, heads and sectors against the size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.rules.evidence import field_hit
from vhdtool.rules.model import Severity
from vhdtool.rules.registry import rule
from vhdtool.units import MIB, human_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.disk.facts import DiskFacts
    from vhdtool.rules.model import Hit

_GEOMETRY = 56
# Readers take the geometry for the size of what these made: qemu, Microsoft's image tools.
_BELIEVED = (b"vpc ", b"vs  ", b"qemu")


def _describe(facts: DiskFacts) -> str:
    assert facts.vhd is not None
    footer = facts.vhd.active.value
    chs = footer.geometry
    return (
        f"geometry {chs.cylinders}/{chs.heads}/{chs.sectors_per_track} makes"
        f" {human_size(chs.size)}, current size is {human_size(footer.current_size)}"
    )


@rule("VHD014", "size-by-geometry-differs", severity=Severity.WARNING)
def size_by_geometry(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    If the creator is one that makes readers believe the geometry (`vpc `, `vs  ` or `qemu`), the
    geometry makes the same size as the footer's current size. The largest geometry, 65535/16/255,
    says nothing, and zero is left to VHD016.

    ## Why it matters
    Azure and vhdtool take the current size. qemu and Microsoft's image tools take the geometry of
    such images, and see a disk of another length, usually without its end.

    ## How to fix
    `vhdtool convert IMAGE OUT.vhd` writes a footer with a creator that has no such effect.

    ## Source
    - qemu block/vpc.c and microsoft/azure-linux-image-tools: creators whose geometry is believed
    - A warning, not an error: Azure decides by the current size.
    """
    if facts.vhd is None:
        return
    footer = facts.vhd.active.value
    chs = footer.geometry
    silent = chs.is_maximum or chs.size == 0
    if footer.creator_application in _BELIEVED and not silent and chs.size != footer.current_size:
        creator = footer.creator_application.decode("ascii").strip()
        message = f"{_describe(facts)}; readers of images made by {creator} differ in which to take"
        yield field_hit(message, facts.vhd.active, _GEOMETRY, 4)


@rule("VHD015", "geometry-larger-than-size", severity=Severity.WARNING)
def larger_geometry(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The geometry does not describe a disk larger than the current size. The largest geometry,
    65535/16/255, is what writers use for "does not apply", and passes. Images whose creator makes
    readers believe the geometry are left to VHD014.

    ## Why it matters
    Readers that trust the geometry read past the end of the disk.

    ## How to fix
    `vhdtool convert IMAGE OUT.vhd` computes it by the specification.

    ## Source
    - Virtual Hard Disk Image Format Specification 1.0, "Disk Geometry", appendix "CHS Calculation"
    - xapi-project/blktap, vhd-util check
    """
    if facts.vhd is None:
        return
    footer = facts.vhd.active.value
    chs = footer.geometry
    if footer.creator_application in _BELIEVED or chs.is_maximum:
        return
    if chs.size > footer.current_size:
        yield field_hit(_describe(facts), facts.vhd.active, _GEOMETRY, 4)


@rule("VHD016", "geometry-zero", severity=Severity.INFO)
def zero_geometry(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The geometry is not zero.

    ## Why it matters
    Readers that trust the geometry see an empty disk. Azure does not; hcsshim and OpenVMM write
    zeros.

    ## How to fix
    Nothing needs to be done for Azure; `vhdtool convert` computes the geometry.

    ## Source
    - microsoft/hcsshim, ext4/tar2ext4; microsoft/openvmm, vhd1_defs
    """
    if facts.vhd is not None and facts.vhd.active.value.geometry.size == 0:
        chs = facts.vhd.active.value.geometry
        found = f"{chs.cylinders}/{chs.heads}/{chs.sectors_per_track}"
        message = f"geometry is {found}, expected one of the disk's size"
        yield field_hit(message, facts.vhd.active, _GEOMETRY, 4)


@rule("VHD017", "size-rounded-by-qemu", severity=Severity.WARNING)
def rounded_by_qemu(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    An image that qemu-img made without `force_size` (creator `qemu`) still has a whole number of
    MiB.

    ## Why it matters
    Without `force_size` qemu-img rounds the size to a whole cylinder, and versions 2.2.1 to 2.5
    wrote wrong sizes. The disk does not have the size it was meant to have.

    ## How to fix
    `vhdtool convert ORIGINAL OUT.vhd`, or `qemu-img convert -o subformat=fixed,force_size=on`.

    ## Source
    - Azure, "Prepare Linux for imaging": qemu-img from 2.2.1 on gets sizes wrong, from 2.6 on only
    without `force_size`
    - qemu block/vpc.c: the creators `qemu` and `qem2`
    """
    if facts.vhd is None:
        return
    footer = facts.vhd.active.value
    if footer.creator_application == b"qemu" and footer.current_size % MIB:
        message = (
            "made by qemu-img without force_size, which rounds sizes: virtual size is"
            f" {human_size(footer.current_size)}, expected whole MiB"
        )
        yield field_hit(message, facts.vhd.active, 28, 4)
