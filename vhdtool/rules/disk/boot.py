"""What firmware starts: boot code, active partitions, the EFI system partition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.disk.facts import Signature
from vhdtool.formats import mbr
from vhdtool.rules.disk.places import entry_hit, first_mib_hit, sector_size, volume_hit
from vhdtool.rules.disk.purpose import (
    Guest,
    efi_system_partitions,
    guest,
    has_bios_loader_partition,
    has_boot_code,
    has_gpt,
    has_grub,
)
from vhdtool.rules.evidence import counted
from vhdtool.rules.model import Profile, Severity
from vhdtool.rules.registry import rule
from vhdtool.units import SECTOR_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.disk.facts import DiskFacts, Partition, PartitionFacts
    from vhdtool.rules.model import Hit

_GRUB_CORE_LBA = 0x5C  # of boot.img: where its core image starts, 8 bytes
_BOOT_CODE_LENGTH = 440
_FAT = frozenset((Signature.FAT12, Signature.FAT16, Signature.FAT32))
_DIRTY = 0x01


@rule("DSK101", "gpt-on-generation-1", severity=Severity.WARNING, profiles=(Profile.GEN1,))
def gpt_on_generation_1(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The OS disk of a generation 1 machine has a master boot record. A GUID partition table is an
    error on a Windows disk. On other disks it passes with a BIOS boot partition, FreeBSD's boot
    partition, or a partition marked for legacy boot; a disk without any boot code is left to
    DSK103.

    ## Why it matters
    A BIOS does not read GUID partition tables. Windows cannot start from one there; Linux can only
    if its loader has a place of its own.

    ## How to fix
    Use the image for generation 2. For generation 1, reinstall Windows on a disk with an MBR
    (`mbr2gpt` only goes the other way); for Linux, add a BIOS boot partition and run
    `grub-install`.

    ## Source
    - Azure, "Support for generation 2 VMs"; Azure, "Prepare a Windows VHD or VHDX to upload"
    - These pages allow only an MBR. Images that Microsoft and its partners publish for generation 1
    have a GPT with a BIOS boot partition, so that passes here.
    """
    layout = facts.layout
    if layout is None or not has_gpt(layout) or layout.primary_gpt is None:
        return
    offset = layout.primary_gpt.offset
    if guest(layout) is Guest.WINDOWS:
        yield first_mib_hit(
            layout,
            "a Windows disk has a GUID partition table, expected an MBR for generation 1",
            offset,
            SECTOR_SIZE,
            Severity.ERROR,
        )
    elif has_boot_code(layout) and not has_bios_loader_partition(layout):
        yield first_mib_hit(
            layout,
            "the disk has a GUID partition table without a BIOS boot partition, "
            "expected one, or an MBR, for generation 1",
            offset,
            SECTOR_SIZE,
        )


@rule("DSK102", "no-efi-system-partition", severity=Severity.ERROR, profiles=(Profile.GEN2,))
def no_efi_system_partition(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The OS disk of a generation 2 machine has a GUID partition table with an EFI system partition.

    ## Why it matters
    Generation 2 machines start by UEFI, which looks for loaders in that partition. Without it the
    machine ends up trying to boot from the network.

    ## How to fix
    Use the image for generation 1, or install the system for UEFI.

    ## Source
    - Azure, "Support for generation 2 VMs"
    - Azure, "Linux virtual machine boot issues due to UEFI"
    """
    layout = facts.layout
    if layout is None:
        return
    if not has_gpt(layout):
        yield first_mib_hit(
            layout,
            f"the disk has {_table_without_gpt(layout)}, expected a GUID partition table for "
            "generation 2",
            sector_size(facts),
            SECTOR_SIZE,
        )
    elif not efi_system_partitions(layout):
        types = sorted({partition.type_name for partition in layout.partitions})
        found = counted(len(layout.partitions), "partition", "partitions")
        names = f" ({', '.join(types)})" if types else ""
        yield first_mib_hit(
            layout,
            f"there is no EFI system partition among {found}{names}, expected one for generation 2",
            sector_size(facts),
            SECTOR_SIZE,
        )


def _table_without_gpt(layout: PartitionFacts) -> str:
    if layout.partitions:
        return "an MBR"
    if layout.primary_gpt is not None or layout.backup_gpt is not None:
        return "a GUID partition table that cannot be used"
    return "no partition table"


@rule("DSK103", "no-bios-boot-code", severity=Severity.ERROR, profiles=(Profile.GEN1,))
def no_bios_boot_code(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The first sector ends with 55 AA and holds boot code. If the code is GRUB's, the core image that
    it points to is there. Windows disks with a GUID partition table are left to DSK101.

    ## Why it matters
    A generation 1 machine runs the first sector of its OS disk. Without a loader there, it cannot
    start.

    ## How to fix
    Use the image for generation 2 if the system boots by UEFI. Otherwise run `grub-install` (Linux)
    or `bootsect` and `bcdboot` (Windows) for BIOS.

    ## Source
    - Azure, "Linux virtual machine boot issues due to UEFI"; Red Hat, "Azure image preparation"
    - GRUB manual, "BIOS installation"; the field of boot.img at 5C is described in GRUB's headers
    """
    layout = facts.layout
    if layout is None or (has_gpt(layout) and guest(layout) is Guest.WINDOWS):
        return
    if layout.mbr is None:
        end = layout.first_mib[510:512].hex(" ").upper() or "nothing"
        yield first_mib_hit(
            layout,
            f"the first sector ends with {end}, expected 55 AA for generation 1",
            510,
            2,
        )
    elif not has_boot_code(layout):
        yield first_mib_hit(
            layout,
            f"all {_BOOT_CODE_LENGTH} bytes of boot code are zero, expected a loader for "
            "generation 1",
            0,
            _BOOT_CODE_LENGTH,
        )
    elif has_grub(layout):
        yield from _missing_grub_core(layout, layout.mbr)


def _missing_grub_core(layout: PartitionFacts, record: mbr.MasterBootRecord) -> Iterator[Hit]:
    lba = int.from_bytes(record.boot_code[_GRUB_CORE_LBA : _GRUB_CORE_LBA + 8], "little")
    sector = _sector_at(layout, lba * SECTOR_SIZE)
    if sector and not any(sector):
        yield first_mib_hit(
            layout,
            f"GRUB's boot code points to LBA {lba}, which is all zeros, expected its core image",
            _GRUB_CORE_LBA,
            8,
        )


def _sector_at(layout: PartitionFacts, offset: int) -> bytes:
    """What is known of a sector: of the first MiB, or the first of a partition."""
    known = layout.first_mib[offset : offset + SECTOR_SIZE]
    if known:
        return known
    for partition in layout.partitions:
        if partition.offset == offset:
            return partition.boot_sector
    return b""


@rule("DSK104", "bad-efi-file-system", severity=Severity.ERROR, profiles=(Profile.GEN2,))
def bad_efi_file_system(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The EFI system partition holds FAT12, FAT16 or FAT32, by the parameter block in its boot sector.
    A volume that was not cleanly unmounted is a warning. Of several EFI system partitions the first
    is looked at.

    ## Why it matters
    UEFI reads loaders from FAT only. A machine usually starts from a dirty volume, but the latest
    changes to it may be lost, and some systems refuse to mount it until it has been checked.

    ## How to fix
    Format the partition as FAT and reinstall the loader. For a dirty volume, run `fsck.vfat`.

    ## Source
    - UEFI Specification 2.10, section 13.3; Microsoft, FAT specification, BS_Reserved1
    - Azure, "Linux virtual machine boot issues due to UEFI"
    """
    layout = facts.layout
    if layout is None:
        return
    for partition in efi_system_partitions(layout)[:1]:
        if len(partition.boot_sector) < SECTOR_SIZE:
            continue  # outside the disk or unreadable: told by other rules
        if partition.signature not in _FAT:
            actual = _content(partition)
            yield volume_hit(
                partition,
                f"the EFI system partition {partition.number} holds {actual}, expected FAT",
            )
            continue
        at = 0x41 if partition.signature is Signature.FAT32 else 0x25
        if partition.boot_sector[at] & _DIRTY:
            yield volume_hit(
                partition,
                f"the {partition.signature} volume of the EFI system partition {partition.number} "
                f"is marked dirty: flags {partition.boot_sector[at]:#04x}, expected bit 0 clear",
                at=at,
                length=1,
                severity=Severity.WARNING,
            )


def _content(partition: Partition) -> str:
    if partition.signature is not None:
        return str(partition.signature)
    return "an unknown format" if any(partition.boot_sector) else "zeros"


@rule("DSK140", "no-active-partition", severity=Severity.ERROR, profiles=(Profile.GEN1,))
def no_active_partition(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    A Windows disk with an MBR has exactly one active partition, and it is a primary one. Whether
    `bootmgr` is on it is not checked.

    ## Why it matters
    Windows' boot code starts the active primary partition. It gives up if there is none, or more
    than one.

    ## How to fix
    Set the active flag on the partition that holds `bootmgr`, and on no other (`diskpart`:
    `select partition`, then `active` or `inactive`).

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload"; Azure, repair scripts for boot problems
    """
    layout = facts.layout
    if layout is None or layout.mbr is None or has_gpt(layout):
        return
    if guest(layout) is not Guest.WINDOWS:
        return
    active = [partition for partition in layout.partitions if partition.active]
    primary = [partition for partition in active if partition.number <= len(layout.mbr.entries)]
    if len(primary) == 1:
        return
    if active and not primary:
        number = active[0].number
        yield entry_hit(
            layout, active[0], f"logical partition {number} is active, expected a primary one"
        )
        return
    found = f"{len(primary)} primary partitions are" if primary else "no primary partition is"
    start, length = mbr.TABLE_OFFSET, len(layout.mbr.entries) * mbr.ENTRY_SIZE
    yield first_mib_hit(layout, f"{found} active, expected exactly one", start, length)
