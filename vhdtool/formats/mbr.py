"""The master boot record.

Source: UEFI Specification 2.10, section 5.2; the type codes are by common use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from construct import Bytes, Int8ul, Int32ul, Struct

from vhdtool.units import SECTOR_SIZE

BOOT_SIGNATURE = b"\x55\xaa"
TABLE_OFFSET = 446
ENTRY_SIZE = 16
ACTIVE = 0x80
PROTECTIVE_TYPE = 0xEE
EXTENDED_TYPES = frozenset((0x05, 0x0F, 0x85))

_ENTRY: Any = Struct(
    "status" / Int8ul,
    "first_chs" / Bytes(3),
    "type_code" / Int8ul,
    "last_chs" / Bytes(3),
    "first_lba" / Int32ul,
    "sector_count" / Int32ul,
)

_RECORD: Any = Struct(
    "boot_code" / Bytes(440),
    "disk_signature" / Int32ul,
    "reserved" / Bytes(2),
    "entries" / _ENTRY[4],
    "boot_signature" / Bytes(2),
)

_TYPE_NAMES = {
    0x00: "empty",
    0x01: "FAT12",
    0x04: "FAT16 up to 32 MiB",
    0x05: "extended",
    0x06: "FAT16",
    0x07: "NTFS, exFAT or HPFS",
    0x0B: "FAT32",
    0x0C: "FAT32 LBA",
    0x0E: "FAT16 LBA",
    0x0F: "extended LBA",
    0x11: "hidden FAT12",
    0x14: "hidden FAT16 up to 32 MiB",
    0x16: "hidden FAT16",
    0x17: "hidden NTFS",
    0x1B: "hidden FAT32",
    0x1C: "hidden FAT32 LBA",
    0x1E: "hidden FAT16 LBA",
    0x27: "Windows recovery",
    0x39: "Plan 9",
    0x41: "PowerPC PReP boot",
    0x42: "Windows dynamic disk",
    0x82: "Linux swap",
    0x83: "Linux",
    0x85: "Linux extended",
    0x8E: "Linux LVM",
    0xA5: "FreeBSD",
    0xA6: "OpenBSD",
    0xA8: "Apple UFS",
    0xA9: "NetBSD",
    0xAF: "Apple HFS",
    0xBE: "Solaris boot",
    0xBF: "Solaris",
    0xDA: "data without a file system",
    0xEE: "GPT protective",
    0xEF: "EFI system",
    0xFB: "VMware VMFS",
    0xFD: "Linux RAID",
}


def type_name(type_code: int) -> str:
    """Name a partition type: `Linux`, or `unknown`."""
    return _TYPE_NAMES.get(type_code, "unknown")


@dataclass(frozen=True, slots=True)
class MbrEntry:
    """One of the four entries of a table; `index` counts from 0, LBAs are sectors."""

    index: int
    status: int
    first_chs: bytes
    type_code: int
    last_chs: bytes
    first_lba: int
    sector_count: int

    @property
    def is_used(self) -> bool:
        """Whether the entry describes a partition."""
        return self.type_code != 0 and self.sector_count != 0

    @property
    def is_extended(self) -> bool:
        """Whether the entry holds logical partitions."""
        return self.type_code in EXTENDED_TYPES


@dataclass(frozen=True, slots=True)
class MasterBootRecord:
    """The first sector of a disk; `disk_signature` is Windows' number for the disk."""

    boot_code: bytes
    disk_signature: int
    entries: tuple[MbrEntry, ...]
    reserved: bytes = b"\0\0"
    boot_signature: bytes = BOOT_SIGNATURE

    @classmethod
    def parse(cls, data: bytes) -> MasterBootRecord:
        """Read the record from a sector.

        Raises:
            ValueError: There are fewer than 512 bytes.
        """
        if len(data) < SECTOR_SIZE:
            raise ValueError(f"a master boot record has {SECTOR_SIZE} bytes, not {len(data)}")
        fields = _RECORD.parse(data[:SECTOR_SIZE])
        entries = tuple(
            MbrEntry(
                index=index,
                status=entry.status,
                first_chs=entry.first_chs,
                type_code=entry.type_code,
                last_chs=entry.last_chs,
                first_lba=entry.first_lba,
                sector_count=entry.sector_count,
            )
            for index, entry in enumerate(fields.entries)
        )
        return cls(
            boot_code=fields.boot_code,
            disk_signature=fields.disk_signature,
            entries=entries,
            reserved=fields.reserved,
            boot_signature=fields.boot_signature,
        )

    def build(self) -> bytes:
        """Return the record's 512 bytes."""
        entries = [
            {name: getattr(entry, name) for name in MbrEntry.__slots__ if name != "index"}
            for entry in self.entries
        ]
        built: bytes = _RECORD.build(
            {
                "boot_code": self.boot_code,
                "disk_signature": self.disk_signature,
                "reserved": self.reserved,
                "entries": entries,
                "boot_signature": self.boot_signature,
            }
        )
        return built

    @property
    def has_signature(self) -> bool:
        """Whether the sector ends with 55 AA."""
        return self.boot_signature == BOOT_SIGNATURE

    @property
    def is_protective(self) -> bool:
        """Whether an entry stands for a GUID partition table."""
        return any(entry.type_code == PROTECTIVE_TYPE for entry in self.entries)
