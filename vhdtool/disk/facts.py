"""What is known of an image before any rule judges it. Collected once; rules read nothing else.

A fact that could not be read is None, and the reason stands in `DiskFacts.gaps`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path
    from uuid import UUID

    from vhdtool._native import BitmapReport, TableReport, VhdxTableReport
    from vhdtool.formats.gpt import GptEntry, GptHeader
    from vhdtool.formats.mbr import MasterBootRecord
    from vhdtool.formats.vhd import DynamicHeader, Footer
    from vhdtool.formats.vhdx import FileParameters, Header, RegionTable

T = TypeVar("T")


class ImageFormat(StrEnum):
    """What a file is, by its content."""

    VHD_FIXED = "fixed VHD"
    VHD_DYNAMIC = "dynamic VHD"
    VHD_DIFFERENCING = "differencing VHD"
    VHD_OTHER = "VHD of unknown type"
    VHDX = "VHDX"
    QCOW2 = "qcow2"
    VMDK = "VMDK"
    VDI = "VDI"
    GZIP = "gzip"
    XZ = "xz"
    ZSTD = "zstd"
    BZIP2 = "bzip2"
    ZIP = "zip"
    ISO = "ISO 9660"
    RAW = "raw"


@dataclass(frozen=True, slots=True)
class Located(Generic[T]):
    """A structure, where it lies in the image file, and its bytes."""

    offset: int
    raw: bytes
    value: T


@dataclass(frozen=True, slots=True)
class ParentFacts:
    """What a differencing disk says of its parent, and what was found."""

    unique_id: UUID
    timestamp: int | None  # seconds since 2000-01-01 UTC, VHD only
    names: tuple[tuple[str, str], ...]  # (locator code or "header", decoded name), in search order
    searched: tuple[Path, ...]  # every path that was tried
    path: Path | None  # the file that was opened
    found_unique_id: UUID | None  # its identity
    found_timestamp: int | None  # its modification time in the same unit as `timestamp`
    error: str | None  # why there is no parent, or why it was refused

    @property
    def is_changed(self) -> bool:
        """Whether the file was written, or copied, since the child was made."""
        known = self.timestamp is not None and self.found_timestamp is not None
        return known and self.timestamp != self.found_timestamp


@dataclass(frozen=True, slots=True)
class VhdFacts:
    """A VHD's own structures, sound or not."""

    footer: Located[Footer] | None  # the last one in the file, at its end or before trailing bytes
    footer_copy: Located[Footer] | None  # at offset 0; None also for fixed disks
    active: Located[Footer]  # the one that the disk is read by
    trailing_bytes: int  # bytes between the end of `footer` and the end of the file
    second_footer_offset: int | None  # a further valid footer right before the data's end
    legacy_footer: bool  # 511 bytes, Virtual PC before 2004
    dynamic_header: Located[DynamicHeader] | None
    table: TableReport | None
    bitmaps: BitmapReport | None
    parent: ParentFacts | None


@dataclass(frozen=True, slots=True)
class VhdxFacts:
    """A VHDX's own structures, sound or not."""

    creator: str
    headers: tuple[Located[Header], Located[Header]]
    active_header: int | None  # 0 or 1
    region_tables: tuple[Located[RegionTable], Located[RegionTable]]
    active_region_table: int | None
    log_pending: bool  # the log must be replayed before the file is right
    log_entries: int | None  # how many entries were replayed in memory
    file_parameters: FileParameters | None
    virtual_size: int | None
    logical_sector_size: int | None
    physical_sector_size: int | None
    disk_id: UUID | None
    problems: tuple[tuple[int, str], ...]  # (file offset, one sentence) for each that fails
    table: VhdxTableReport | None
    parent: ParentFacts | None


class Signature(StrEnum):
    """What a volume starts with, by its boot sector or superblock."""

    FAT12 = "FAT12"
    FAT16 = "FAT16"
    FAT32 = "FAT32"
    EXFAT = "exFAT"
    NTFS = "NTFS"
    REFS = "ReFS"
    BITLOCKER = "BitLocker"
    EXT = "ext2/3/4"
    XFS = "XFS"
    BTRFS = "btrfs"
    SWAP = "Linux swap"
    LUKS = "LUKS"
    LVM = "LVM2 physical volume"
    MD_RAID = "Linux md RAID"
    UFS = "UFS"
    ISO9660 = "ISO 9660"
    LDM = "LDM dynamic disk"
    ZFS = "ZFS"
    APFS = "APFS"
    HFS_PLUS = "HFS+"
    F2FS = "F2FS"
    JFS = "JFS"
    REISERFS = "ReiserFS"
    BCACHEFS = "bcachefs"
    SQUASHFS = "squashfs"
    EROFS = "EROFS"


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition, as its table has it; lengths are bytes, unchecked against the disk."""

    number: int  # 1 up; MBR logical partitions from 5
    scheme: str  # "mbr" or "gpt"
    offset: int
    length: int
    type_code: str  # MBR: "0x83"; GPT: the type GUID in upper case
    type_name: str  # "Linux", "EFI system", ... or "unknown"
    name: str  # GPT name, else ""
    active: bool  # MBR 0x80
    entry_offset: int  # disk offset of the table entry, for evidence
    signature: Signature | None  # None: unknown or unreadable
    boot_sector: bytes  # first 512 bytes, b"" where unreadable


@dataclass(frozen=True, slots=True)
class GptFacts:
    """One copy of a GUID partition table."""

    offset: int  # disk offset of its header
    header: GptHeader
    raw: bytes
    header_crc_ok: bool
    entries_crc_ok: bool | None  # None: the array lies outside the disk
    entries: tuple[GptEntry, ...]  # used entries only
    problem: str | None  # why it is not usable, one clause


@dataclass(frozen=True, slots=True)
class PartitionFacts:
    """How a disk is divided, from its first and last sectors."""

    mbr: MasterBootRecord | None  # None: no 55 AA at byte 510
    primary_gpt: GptFacts | None  # None: no "EFI PART" at LBA 1
    backup_gpt: GptFacts | None  # where the primary says, else at the last LBA, else searched
    gpt_at_4096: bool  # a GPT header lies at byte 4096: made for 4096-byte sectors
    partitions: tuple[Partition, ...]  # from the primary GPT, else the backup, else the MBR
    bare_signature: Signature | None  # a file system from byte 0 on, without a partition table
    first_mib: bytes  # the first MiB of the disk, shorter on a smaller disk
    last_sector: bytes
    problems: tuple[tuple[int, str], ...]  # (disk offset, sentence): where logical partitions end
    unread: tuple[str, ...]  # what could not be read, one sentence each


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """Everything that container and partition rules look at."""

    path: Path
    format: ImageFormat
    file_size: int
    allocated_size: int | None
    virtual_size: int | None  # None where the image does not say or cannot be opened
    sector_size: int | None
    vhd: VhdFacts | None
    vhdx: VhdxFacts | None
    layout: PartitionFacts | None  # None: the disk cannot be read
    all_zero: bool | None  # every stored or sampled byte is zero; None: not looked at
    open_error: str | None  # why the disk cannot be read as a flat array of bytes
    gaps: tuple[str, ...]  # what could not be read, one sentence each
    now: datetime  # the time to judge timestamps by
