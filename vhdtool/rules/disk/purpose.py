"""What a disk is for, as far as its partition tables and boot sectors tell."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from vhdtool.disk.facts import Signature
from vhdtool.formats.gpt import BIOS_BOOT, EFI_SYSTEM
from vhdtool.formats.mbr import ACTIVE

if TYPE_CHECKING:
    from vhdtool.disk.facts import DiskFacts, Partition, PartitionFacts

GRUB_MARK = b"GRUB "
FREEBSD_BOOT = "83BD6B9D-7F41-11DC-BE0B-001560B84F0F"

_MBR_EFI_SYSTEM = "0xef"
_BIOS_LOADER_TYPES = frozenset((BIOS_BOOT, FREEBSD_BOOT))
_LEGACY_BOOT = 1 << 2  # GPT attribute: boot code in the MBR is to start the partition

_WINDOWS_SIGNATURES = frozenset((Signature.NTFS, Signature.REFS, Signature.BITLOCKER))
_WINDOWS_TYPES = frozenset(
    (
        "0x27",  # recovery
        "0x42",  # dynamic disk
        "E3C9E316-0B5C-4DB8-817D-F92DF00215AE",  # Microsoft reserved
        "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC",  # recovery
        "5808C8AA-7E8F-42E0-85D2-E1E90434CFB3",  # dynamic disk: metadata
        "AF9B60A0-1431-4F62-BC68-3311714A69AD",  # dynamic disk: data
    )
)
_LINUX_SIGNATURES = frozenset(
    (
        Signature.EXT,
        Signature.XFS,
        Signature.BTRFS,
        Signature.SWAP,
        Signature.LUKS,
        Signature.LVM,
        Signature.MD_RAID,
    )
)
_BSD_TYPE_NAMES = ("FreeBSD", "OpenBSD", "NetBSD")


class Guest(StrEnum):
    """The kind of system on a disk."""

    WINDOWS = "Windows"
    LINUX = "Linux"


def has_gpt(layout: PartitionFacts) -> bool:
    """Whether the partitions come from a GUID partition table, or it has none but a sound table."""
    if layout.partitions:
        return layout.partitions[0].scheme == "gpt"
    return any(
        table is not None and table.problem is None
        for table in (layout.primary_gpt, layout.backup_gpt)
    )


def efi_system_partitions(layout: PartitionFacts) -> list[Partition]:
    """The partitions that firmware looks for loaders in."""
    return [
        partition
        for partition in layout.partitions
        if partition.type_code in (EFI_SYSTEM, _MBR_EFI_SYSTEM)
    ]


def has_bios_loader_partition(layout: PartitionFacts) -> bool:
    """Whether a GPT has a partition for the loader of a BIOS machine, or one marked for it.

    The mark asks boot code in the MBR to start the partition, as syslinux does.
    """
    if any(partition.type_code in _BIOS_LOADER_TYPES for partition in layout.partitions):
        return True
    table = layout.primary_gpt
    return table is not None and any(entry.attributes & _LEGACY_BOOT for entry in table.entries)


def has_boot_code(layout: PartitionFacts) -> bool:
    """Whether the first sector holds anything that a BIOS could run."""
    return layout.mbr is not None and any(layout.mbr.boot_code)


def has_grub(layout: PartitionFacts) -> bool:
    """Whether the boot code in the first sector is GRUB's."""
    return layout.mbr is not None and GRUB_MARK in layout.mbr.boot_code


def boots_by_bios(layout: PartitionFacts) -> bool:
    """Whether a system is meant to boot from the disk in a BIOS machine.

    Of an MBR an active partition says so, or GRUB's boot code, which needs none. Other boot code
    says nothing: Windows and parted write it on data disks too. A GPT needs a place for the loader;
    beside an EFI system partition that place counts only with boot code in front of it.
    """
    if not has_gpt(layout):
        return _has_active_entry(layout) or has_grub(layout)
    if efi_system_partitions(layout):
        return has_bios_loader_partition(layout) and has_boot_code(layout)
    return has_bios_loader_partition(layout) or has_grub(layout)


def _has_active_entry(layout: PartitionFacts) -> bool:
    """Whether an MBR entry is active, be its type 0, as on isohybrid images."""
    entries = () if layout.mbr is None else layout.mbr.entries
    if any(entry.status not in (0, ACTIVE) for entry in entries):
        return False  # the boot code of a bare file system
    return any(entry.status == ACTIVE and entry.sector_count for entry in entries)


def boots(layout: PartitionFacts) -> bool:
    """Whether a system is meant to boot from the disk, in whichever machine."""
    return bool(efi_system_partitions(layout)) or boots_by_bios(layout)


def guest(layout: PartitionFacts) -> Guest | None:
    """Tell the kind of system from partition types and superblocks, None when in doubt."""
    windows = any(_is_windows(partition) for partition in layout.partitions)
    linux = any(_is_linux(partition) for partition in layout.partitions)
    bsd = any(partition.type_name.startswith(_BSD_TYPE_NAMES) for partition in layout.partitions)
    if bsd or windows == linux:
        return None
    return Guest.WINDOWS if windows else Guest.LINUX


def system_disk(facts: DiskFacts, wanted: Guest | None = None) -> PartitionFacts | None:
    """Return the layout of a disk that boots (`wanted`, if given), None for any other disk."""
    layout = facts.layout
    if layout is None or not boots(layout):
        return None
    return layout if wanted is None or guest(layout) is wanted else None


def _is_windows(partition: Partition) -> bool:
    return partition.signature in _WINDOWS_SIGNATURES or partition.type_code in _WINDOWS_TYPES


def _is_linux(partition: Partition) -> bool:
    if partition.signature is not None:
        return partition.signature in _LINUX_SIGNATURES
    return partition.type_name.startswith(("Linux", "Flatcar", "LUKS"))
