"""What kind of container the file is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.disk.facts import ImageFormat
from vhdtool.rules.disk.purpose import boots
from vhdtool.rules.evidence import field_hit
from vhdtool.rules.model import FileLocation, Hit, Severity
from vhdtool.rules.registry import rule
from vhdtool.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.disk.facts import DiskFacts

_FOREIGN = frozenset(
    {
        ImageFormat.QCOW2,
        ImageFormat.VMDK,
        ImageFormat.VDI,
        ImageFormat.GZIP,
        ImageFormat.XZ,
        ImageFormat.ZSTD,
        ImageFormat.BZIP2,
        ImageFormat.ZIP,
        ImageFormat.ISO,
    }
)
_LARGE_SECTOR = 4096


@rule("VHD003", "dynamic-disk", severity=Severity.ERROR)
def dynamic_disk(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The VHD is fixed, not dynamic.

    ## Why it matters
    Azure takes only fixed VHDs. Some upload tools send a dynamic one byte for byte and report
    success; no disk can be made from it.

    ## How to fix
    `vhdtool convert IMAGE OUT.vhd`

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    - Azure, "Prepare Linux for imaging" (create-upload-generic)
    """
    if facts.format is ImageFormat.VHD_DYNAMIC and facts.vhd is not None:
        yield field_hit("disk type is 3 (dynamic), expected 2 (fixed)", facts.vhd.active, 60, 4)


@rule("VHD004", "differencing-disk", severity=Severity.ERROR)
def differencing_disk(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The VHD is fixed, not a differencing disk.

    ## Why it matters
    A differencing disk holds only what differs from its parent. Azure does not take it, and tools
    that ignore the parent turn everything else into zeros.

    ## How to fix
    `vhdtool convert IMAGE OUT.vhd` merges the whole chain; `--parent-dir DIR` says where the
    parents are.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    - Virtual Hard Disk Image Format Specification 1.0, "Disk Type"
    """
    if facts.format is ImageFormat.VHD_DIFFERENCING and facts.vhd is not None:
        message = "disk type is 4 (differencing), expected 2 (fixed)"
        yield field_hit(message, facts.vhd.active, 60, 4)


@rule("VHD005", "vhdx", severity=Severity.ERROR)
def vhdx(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The file is not a VHDX, whatever its name says, unless it is a data disk with 4096-byte sectors
    (VHD006).

    ## Why it matters
    Azure makes disks from fixed VHDs. It takes a VHDX only with 4096-byte sectors, and only for
    Ultra Disk and Premium SSD v2, which are data disks.

    ## How to fix
    `vhdtool convert IMAGE OUT.vhd`. An OS disk with 4096-byte sectors must be built again with
    512-byte sectors.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    - Azure, "Upload a VHD to Azure" (PowerShell, 02/2026): 512-byte sectors are not supported there
    """
    if facts.format is not ImageFormat.VHDX:
        return
    if facts.sector_size != _LARGE_SECTOR:
        yield Hit("the file is a VHDX, expected a fixed VHD", FileLocation(0, 8), b"vhdxfile")
    elif _boots(facts):
        message = "a system boots from this VHDX with 4096-byte sectors, expected a fixed VHD"
        yield Hit(message, FileLocation(0, 8), b"vhdxfile")


def _boots(facts: DiskFacts) -> bool:
    return facts.layout is not None and boots(facts.layout)


@rule("VHD006", "vhdx-of-4096-byte-sectors", severity=Severity.INFO)
def vhdx_large_sectors(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    Whether the file is a VHDX with 4096-byte logical sectors that no system boots from.

    ## Why it matters
    Since 2026 such a file can be uploaded as it is, but only to an Ultra Disk or a Premium SSD v2
    that was created with a logical sector size of 4096 and the size of the file. The disk's
    capacity is rounded up to the next 256 MiB.

    ## How to fix
    Nothing is wrong. The disk cannot become a VHD, whose sectors have 512 bytes.

    ## Source
    - Azure, "Upload a VHD to Azure" (PowerShell and CLI, 02/2026)
    """
    if facts.format is ImageFormat.VHDX and facts.sector_size == _LARGE_SECTOR:
        if _boots(facts):
            return
        message = "the VHDX has 4096-byte sectors: it fits Ultra Disk and Premium SSD v2 only"
        yield Hit(message, FileLocation(0, 8), b"vhdxfile")


@rule("VHD013", "undefined-disk-type", severity=Severity.ERROR)
def disk_type(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The disk type is 2 (fixed), 3 (dynamic) or 4 (differencing).

    ## Why it matters
    0 means none; 1, 5 and 6 are reserved. Without a known type nobody can tell how the data is
    stored in the file.

    ## How to fix
    Build the image again.

    ## Source
    - Virtual Hard Disk Image Format Specification 1.0, "Disk Type"
    """
    if facts.format is ImageFormat.VHD_OTHER and facts.vhd is not None:
        found = facts.vhd.active.value.disk_type
        message = f"disk type is {found}, expected 2 (fixed), 3 (dynamic) or 4 (differencing)"
        yield field_hit(message, facts.vhd.active, 60, 4)


@rule("VHD037", "name-without-vhd", severity=Severity.WARNING)
def file_name(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The name of a VHD ends in `.vhd`.

    ## Why it matters
    Some upload tools refuse other names or choose the type of the blob by them, and the Marketplace
    wants a URL that ends in `.vhd`.

    ## How to fix
    Rename the file.

    ## Source
    - Azure Marketplace, VM certification FAQ
    - flatcar/mantle, upload of blobs: refuses other names
    """
    if facts.vhd is not None and facts.path.suffix.lower() != ".vhd":
        yield Hit(f"the file is named {printable(facts.path.name)}, expected a name ending in .vhd")


@rule("VHD038", "other-container", severity=Severity.ERROR)
def other_container(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The file is not a qcow2, VMDK or VDI image, nor a compressed file, an archive or an ISO image,
    whatever its name says.

    ## Why it matters
    Azure finds no VHD footer in it and refuses it, after the upload.

    ## How to fix
    `vhdtool convert IMAGE OUT.vhd` reads qcow2 and VMDK, and raw and VHD disks inside .gz, .xz and
    .zst files. Other files must be unpacked or converted first.

    ## Source
    - The formats' own signatures; Azure's answer is that of VHD001
    """
    if facts.format in _FOREIGN:
        message = f"the file's format is {facts.format.value}, expected a fixed VHD"
        yield Hit(message, FileLocation(0, 8))
