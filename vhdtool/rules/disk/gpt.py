"""GUID partition tables: both copies, the protective record, the sector size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.disk.facts import Signature
from vhdtool.formats import mbr
from vhdtool.rules.disk.places import describe, first_mib_hit, sector_size, volume_hit
from vhdtool.rules.disk.purpose import has_gpt
from vhdtool.rules.evidence import counted
from vhdtool.rules.model import DiskLocation, Hit, Profile, Severity
from vhdtool.rules.registry import rule
from vhdtool.units import SECTOR_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.disk.facts import DiskFacts, GptFacts, PartitionFacts

_LARGE_SECTOR = 4096
_BYTES_PER_SECTOR = 11  # of a BIOS parameter block, 2 bytes
_BPB = frozenset((Signature.NTFS, Signature.FAT12, Signature.FAT16, Signature.FAT32))
_ALTERNATE_LBA = 32  # of a GPT header, 8 bytes


def _table_hit(table: GptFacts, message: str, severity: Severity | None = None) -> Hit:
    return Hit(message, DiskLocation(table.offset, len(table.raw)), table.raw[:64], severity)


@rule("DSK112", "bad-gpt-copy", severity=Severity.WARNING)
def bad_gpt_copy(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    Both copies of the GUID partition table are there with correct checksums and say the same, and
    the backup header is in the last sector of the virtual disk, where the primary says it is. If
    neither copy can be used, that is an error. A table left over from an earlier use of the disk,
    beside MBR partitions, is not judged.

    ## Why it matters
    A disk that was grown to a whole MiB has its backup somewhere in the middle. Tools then warn,
    refuse to change the table, or find no backup when the primary is lost. Without a usable copy no
    system finds the partitions.

    ## How to fix
    `vhdtool repair IMAGE` writes the backup of a fixed or raw disk again, where the primary is
    sound. For a damaged primary, use the recovery menu of `gdisk` on the attached disk.

    ## Source
    - UEFI Specification 2.10, section 5.3.2: the backup is in the last block of the disk
    - It applies to generation 1 as well, whose disks may have a GUID partition table (DSK101).
    """
    layout, size = facts.layout, facts.virtual_size
    if layout is None or size is None:
        return
    primary, backup = layout.primary_gpt, layout.backup_gpt
    if primary is None:
        yield from _missing_primary(layout, sector_size(facts))
        return
    if layout.mbr is not None and not layout.mbr.is_protective and _has_mbr_partitions(layout):
        return
    if primary.problem is not None:
        usable = backup is not None and backup.problem is None
        severity = None if usable else Severity.ERROR
        yield _table_hit(primary, f"the primary GPT cannot be used: {primary.problem}", severity)
    last_lba = size // sector_size(facts) - 1
    if backup is None:
        yield _table_hit(primary, f"there is no backup GPT header, expected one at LBA {last_lba}")
        return
    yield from _misplaced(primary, backup, last_lba, sector_size(facts))
    if backup.problem is not None:
        yield _table_hit(backup, f"the backup GPT cannot be used: {backup.problem}")
    elif primary.problem is None:
        yield from _disagreement(primary, backup)


def _missing_primary(layout: PartitionFacts, sector: int) -> Iterator[Hit]:
    missing = 'there is no GPT header at LBA 1, expected "EFI PART"'
    if layout.backup_gpt is not None and layout.backup_gpt.problem is None:
        message = f"{missing}; the backup is at byte {layout.backup_gpt.offset}"
        yield first_mib_hit(layout, message, sector, 8)
    elif layout.mbr is not None and layout.mbr.is_protective and not layout.gpt_at_4096:
        message = f"{missing} behind the protective MBR; there is no backup either"
        yield first_mib_hit(layout, message, sector, 8, Severity.ERROR)


def _has_mbr_partitions(layout: PartitionFacts) -> bool:
    return layout.mbr is not None and any(entry.is_used for entry in layout.mbr.entries)


def _misplaced(primary: GptFacts, backup: GptFacts, last_lba: int, sector: int) -> Iterator[Hit]:
    lba = backup.offset // sector
    if lba != last_lba:
        yield _table_hit(
            backup, f"the backup GPT header is at LBA {lba}, expected the last LBA {last_lba}"
        )
    elif primary.header_crc_ok and primary.header.backup_lba != last_lba:
        yield Hit(
            f"the primary GPT header has its backup at LBA {primary.header.backup_lba}, "
            f"expected the last LBA {last_lba}",
            DiskLocation(primary.offset + _ALTERNATE_LBA, 8),
            primary.raw[_ALTERNATE_LBA : _ALTERNATE_LBA + 8],
        )


def _disagreement(primary: GptFacts, backup: GptFacts) -> Iterator[Hit]:
    if primary.header.disk_guid != backup.header.disk_guid:
        yield _table_hit(
            backup,
            f"the backup GPT belongs to disk {backup.header.disk_guid}, "
            f"expected {primary.header.disk_guid} as in the primary",
        )
    elif primary.entries != backup.entries:
        numbers = sorted({entry.index + 1 for entry in set(primary.entries) ^ set(backup.entries)})
        count = counted(len(numbers), "entry", "entries")
        yield _table_hit(
            backup,
            f"the backup GPT differs from the primary in {count}, expected none; the first is "
            f"partition {numbers[0]}",
        )


@rule("DSK137", "bad-protective-mbr", severity=Severity.WARNING, profiles=(Profile.GEN2,))
def bad_protective_mbr(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The master boot record of a disk with a GUID partition table has one partition of type EE that
    starts at LBA 1, and no others. The length and the active flag of the entry are not judged.

    ## Why it matters
    Firmware uses the GUID partition table only if that record is there. A hybrid record makes
    systems disagree about the partitions: Windows takes those of the record, Linux those of the
    table.

    ## How to fix
    Write a new protective record: `gdisk`, expert menu (`x`), command `n`.

    ## Source
    - UEFI Specification 2.10, section 5.2.3. It tells UEFI to ignore the active flag, which
    installers set for the sake of some BIOSes.
    """
    layout = facts.layout
    if layout is None or layout.primary_gpt is None or layout.primary_gpt.problem is not None:
        return
    if not has_gpt(layout):
        return  # MBR partitions, and a table left over from an earlier use of the disk
    record = layout.mbr
    if record is None:
        yield first_mib_hit(
            layout,
            "the first sector does not end with 55 AA, expected a protective MBR in front of "
            "the GUID partition table",
            510,
            2,
        )
        return
    used = [entry for entry in record.entries if entry.is_used]
    protective = [entry for entry in used if entry.type_code == mbr.PROTECTIVE_TYPE]
    if not protective:
        yield _record_hit(
            layout, 0, 4, "no entry of the MBR has type 0xee, expected a protective entry"
        )
        return
    first = protective[0]
    if first.first_lba != 1:
        yield _record_hit(
            layout,
            first.index,
            1,
            f"the protective MBR entry starts at LBA {first.first_lba}, expected 1",
        )
    others = [entry for entry in used if entry is not first]
    if others:
        types = ", ".join(f"{entry.type_code:#04x}" for entry in others)
        yield _record_hit(
            layout,
            others[0].index,
            1,
            "the protective MBR has "
            + counted(len(others), "other partition", "other partitions")
            + f" (type {types}), expected none",
        )


def _record_hit(layout: PartitionFacts, index: int, count: int, message: str) -> Hit:
    start = mbr.TABLE_OFFSET + index * mbr.ENTRY_SIZE
    return first_mib_hit(layout, message, start, count * mbr.ENTRY_SIZE)


@rule("DSK139", "made-for-4096-byte-sectors", severity=Severity.ERROR)
def made_for_4096_byte_sectors(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    On a disk with 512-byte sectors there is no GUID partition table at byte 4096, where disks with
    4096-byte sectors have it, and no FAT or NTFS volume counts in sectors of 4096 bytes.

    ## Why it matters
    Every sector number on such a disk is eight times too small for the machine that reads it, so no
    partition is found. VHDs uploaded to Azure have 512-byte sectors.

    ## How to fix
    Build the image again on a disk with 512-byte sectors.

    ## Source
    - Azure, "Upload a VHD to Azure" (512 and 4096-byte sectors); UEFI Specification 2.10, section
    5.3.1; Microsoft, FAT specification, BPB_BytsPerSec
    - The sector size of XFS is not judged: `mkfs.xfs` takes the physical one, which is 4096 bytes
    on many disks with 512-byte logical sectors.
    """
    layout = facts.layout
    if layout is None or sector_size(facts) != SECTOR_SIZE:
        return
    if layout.gpt_at_4096 and layout.primary_gpt is None and not layout.partitions:
        yield first_mib_hit(
            layout,
            "the GPT header is at byte 4096, expected byte 512 on a disk with 512-byte sectors",
            _LARGE_SECTOR,
            SECTOR_SIZE,
        )
    for partition in layout.partitions:
        if partition.signature in _BPB and _counts_large(partition.boot_sector):
            yield volume_hit(
                partition,
                f"the {partition.signature} volume of {describe(partition)} has sectors of 4096 "
                "bytes, expected 512 as on the disk",
                at=_BYTES_PER_SECTOR,
                length=2,
            )
    if layout.bare_signature in _BPB and _counts_large(layout.first_mib):
        yield first_mib_hit(
            layout,
            f"the {layout.bare_signature} volume has sectors of 4096 bytes, expected 512 as on "
            "the disk",
            _BYTES_PER_SECTOR,
            2,
        )


def _counts_large(boot_sector: bytes) -> bool:
    field = boot_sector[_BYTES_PER_SECTOR : _BYTES_PER_SECTOR + 2]
    return int.from_bytes(field, "little") == _LARGE_SECTOR
