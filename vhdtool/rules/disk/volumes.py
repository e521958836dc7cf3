"""What partitions hold, by type and superblock: swap, LVM, RAID, encryption, foreign systems."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.disk.facts import Signature
from vhdtool.rules.disk.places import (
    describe,
    entry_hit,
    first_mib_hit,
    partition_hits,
    volume_hit,
)
from vhdtool.rules.disk.purpose import Guest, system_disk
from vhdtool.rules.model import Profile, Severity
from vhdtool.rules.registry import rule
from vhdtool.units import SECTOR_SIZE, human_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.disk.facts import DiskFacts, Partition, PartitionFacts
    from vhdtool.rules.model import Hit

_SWAP_TYPES = frozenset(("0x82", "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F"))
_LVM_TYPES = frozenset(("0x8e", "E6D6D379-F507-44C2-A23C-238F2A3DF928"))
_RAID_TYPES = frozenset(("0xfd", "A19D880F-05FC-4D3B-A006-743F0F84911E"))
_LDM_TYPES = frozenset(
    ("0x42", "5808C8AA-7E8F-42E0-85D2-E1E90434CFB3", "AF9B60A0-1431-4F62-BC68-3311714A69AD")
)
_BSD_TYPES = frozenset(
    (
        "0xa5",
        "0xa6",
        "516E7CB6-6ECF-11D6-8FF8-00022D09712B",
        "824CC7A0-36A8-11E3-890A-952519AD3F61",
    )
)


def _holding(
    layout: PartitionFacts, types: frozenset[str], signature: Signature
) -> Iterator[Partition]:
    """Partitions that hold something by superblock or, where there is none known, by type."""
    for partition in layout.partitions:
        if partition.signature is signature or (
            partition.signature is None and partition.type_code in types
        ):
            yield partition


def _sized(partition: Partition) -> str:
    return f"{describe(partition)} of {human_size(partition.length)}"


@rule("DSK116", "swap-partition", severity=Severity.ERROR)
def swap_partition(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    A Linux OS disk has no swap partition, by partition type or superblock.

    ## Why it matters
    The OS disk is remote storage: swapping there is slow, and it is paid for. Azure wants swap on
    the machine's local resource disk, and its certification tests refuse images with swap on the OS
    disk.

    ## How to fix
    Remove the partition and its line in /etc/fstab; let the agent or cloud-init create swap on the
    resource disk.

    ## Source
    - Azure, "Prepare Linux for imaging" (create-upload-generic)
    - Azure Marketplace, certification test 41; LISA, test `verify_no_swap_on_osdisk`
    """
    layout = system_disk(facts, Guest.LINUX)
    if layout is None:
        return
    yield from partition_hits(
        _holding(layout, _SWAP_TYPES, Signature.SWAP),
        lambda partition: entry_hit(
            layout, partition, f"{_sized(partition)} is swap, expected none on the OS disk"
        ),
        "that are swap",
    )


@rule("DSK119", "lvm-on-os-disk", severity=Severity.WARNING)
def lvm_on_os_disk(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    A Linux OS disk has no LVM physical volume. Next to an XFS partition, which is how installers of
    Red Hat's family lay out a disk, the finding is only information.

    ## Why it matters
    The volume groups of cloned machines have the same names and identities, which gets in the way
    when one machine's disk is attached to another for repair.

    ## How to fix
    Install to plain partitions. On Red Hat Enterprise Linux and its relatives LVM can be kept.

    ## Source
    - Azure, "Prepare Linux for imaging" (create-upload-generic) advises against LVM
    - Azure, "Prepare a Red Hat-based virtual machine" allows it, and Microsoft's own images of that
    family use it. A partition table does not name the distribution; /boot on XFS is that family's
    habit.
    """
    layout = system_disk(facts, Guest.LINUX)
    if layout is None:
        return
    has_xfs = any(partition.signature is Signature.XFS for partition in layout.partitions)
    severity = Severity.INFO if has_xfs else None
    yield from partition_hits(
        _holding(layout, _LVM_TYPES, Signature.LVM),
        lambda partition: entry_hit(
            layout,
            partition,
            f"{_sized(partition)} is an LVM physical volume, expected a file system",
            severity,
        ),
        "that are LVM physical volumes",
    )


@rule("DSK121", "software-raid-on-os-disk", severity=Severity.WARNING)
def software_raid_on_os_disk(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    A Linux OS disk has no member of a software RAID.

    ## Why it matters
    Azure's storage is redundant already. A RAID that lacks a member starts degraded, or not at all.

    ## How to fix
    Install to plain partitions.

    ## Source
    - Azure, "Prepare Linux for imaging" (create-upload-generic) asks for standard partitions
    - Linux kernel, md superblock magic A92B4EFC
    """
    layout = system_disk(facts, Guest.LINUX)
    if layout is None:
        return
    yield from partition_hits(
        _holding(layout, _RAID_TYPES, Signature.MD_RAID),
        lambda partition: entry_hit(
            layout, partition, f"{_sized(partition)} is a RAID member, expected a file system"
        ),
        "that are RAID members",
    )


@rule("DSK122", "encrypted-linux-volume", severity=Severity.WARNING)
def encrypted_linux_volume(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    A Linux OS disk has no LUKS volume.

    ## Why it matters
    If the volume holds the root file system and asks for a passphrase, the machine waits at a
    console where nobody sits. Whether it does, and how it is unlocked, cannot be seen from outside.

    ## How to fix
    Nothing needs to be done if the volume is unlocked by a key that is present at boot. Otherwise
    install without encryption, and use Azure's disk encryption.

    ## Source
    - LUKS On-Disk Format Specification, magic `LUKS BA BE`
    - A warning, not an error: no page of Azure's forbids it, and the root may be elsewhere.
    """
    layout = system_disk(facts, Guest.LINUX)
    if layout is None:
        return
    yield from partition_hits(
        (one for one in layout.partitions if one.signature is Signature.LUKS),
        lambda partition: volume_hit(
            partition,
            f"{_sized(partition)} is encrypted with LUKS, expected a volume that opens unattended",
        ),
        "encrypted with LUKS",
    )


@rule(
    "DSK123",
    "bitlocker-on-os-volume",
    severity=Severity.ERROR,
    profiles=(Profile.GENERALIZED, Profile.MARKETPLACE),
)
def bitlocker_on_os_volume(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The largest volume of a Windows OS disk is not encrypted with BitLocker. One whose protection is
    suspended counts as encrypted.

    ## Why it matters
    Sysprep refuses to run, and another machine does not have the TPM that holds the key.

    ## How to fix
    In the guest: `manage-bde -off C:`, and wait until it is decrypted.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    - Azure Marketplace, "VM certification FAQ"; Microsoft, "Sysprep fails with BitLocker"
    """
    layout = system_disk(facts, Guest.WINDOWS)
    if layout is None:
        return
    largest = max(layout.partitions, key=lambda partition: partition.length)
    if largest.signature is Signature.BITLOCKER:
        yield volume_hit(
            largest, f"{_sized(largest)} is encrypted with BitLocker, expected plain NTFS"
        )


@rule("DSK124", "bitlocker-on-data-disk", severity=Severity.WARNING, profiles=(Profile.DATA_DISK,))
def bitlocker_on_data_disk(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    A data disk has no volume encrypted with BitLocker.

    ## Why it matters
    Another machine cannot open the volume without its recovery key, and Sysprep may refuse to run
    while it is attached.

    ## How to fix
    In the guest: `manage-bde -off` with the volume's letter. Or keep the recovery key at hand.

    ## Source
    - Microsoft, "Sysprep fails with BitLocker"
    """
    layout = facts.layout
    if layout is None:
        return
    yield from partition_hits(
        (one for one in layout.partitions if one.signature is Signature.BITLOCKER),
        lambda partition: volume_hit(
            partition, f"{_sized(partition)} is encrypted with BitLocker, expected plain data"
        ),
        "encrypted with BitLocker",
    )
    if layout.bare_signature is Signature.BITLOCKER:
        yield first_mib_hit(
            layout, "the disk is encrypted with BitLocker, expected plain data", 0, SECTOR_SIZE
        )


@rule("DSK125", "dynamic-windows-disk", severity=Severity.WARNING)
def dynamic_windows_disk(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    A Windows OS disk is a basic disk, not one of the Logical Disk Manager.

    ## Why it matters
    Azure Backup and Azure Disk Encryption do not work with dynamic disks, and Microsoft has
    deprecated them.

    ## How to fix
    Reinstall to a basic disk, or convert the disk with a tool that can.

    ## Source
    - Microsoft, "Basic and dynamic disks": dynamic disks are deprecated
    - A warning, not an error: no page of Azure's forbids them for the OS disk.
    """
    layout = system_disk(facts, Guest.WINDOWS)
    if layout is None:
        return
    for partition in layout.partitions:
        if partition.type_code in _LDM_TYPES:
            yield entry_hit(
                layout,
                partition,
                f"partition {partition.number} has type {partition.type_code} of a dynamic disk, "
                "expected that of a basic disk",
            )
            return


@rule("DSK145", "bsd-volume", severity=Severity.INFO)
def bsd_volume(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The disk has no UFS volume of a BSD system.

    ## Why it matters
    Nothing is wrong with it. Its files cannot be read, so no rule about the guest is decided.

    ## How to fix
    Nothing needs to be done.

    ## Source
    - FreeBSD and OpenBSD partition types; UFS2 superblock magic 19540119
    """
    layout = facts.layout
    if layout is None:
        return
    yield from partition_hits(
        _holding(layout, _BSD_TYPES, Signature.UFS),
        lambda partition: volume_hit(
            partition, f"{_sized(partition)} belongs to a BSD system: its files are not checked"
        ),
        "that belong to a BSD system",
    )
