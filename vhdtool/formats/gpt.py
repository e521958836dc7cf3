"""The GUID partition table.

Source: UEFI Specification 2.10, section 5.3. Entry arrays are walked by the native core.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from construct import Bytes, Int32ul, Int64ul, Struct

from vhdtool.formats.guid import MixedEndianGuid

if TYPE_CHECKING:
    from uuid import UUID

SIGNATURE = b"EFI PART"
HEADER_SIZE = 92
REVISION_1_0 = 0x0001_0000
MIN_ENTRY_SIZE = 128
MAX_ARRAY_SIZE = 4 << 20  # 32768 entries; real tables have 128
EFI_SYSTEM = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"

_CRC_OFFSET = 16
_MAX_HEADER_SIZE = 4096

_HEADER: Any = Struct(
    "signature" / Bytes(8),
    "revision" / Int32ul,
    "header_size" / Int32ul,
    "header_crc32" / Int32ul,
    "reserved" / Int32ul,
    "current_lba" / Int64ul,
    "backup_lba" / Int64ul,
    "first_usable_lba" / Int64ul,
    "last_usable_lba" / Int64ul,
    "disk_guid" / MixedEndianGuid,
    "entries_lba" / Int64ul,
    "entry_count" / Int32ul,
    "entry_size" / Int32ul,
    "entries_crc32" / Int32ul,
)

_TYPE_NAMES = {
    EFI_SYSTEM: "EFI system",
    BIOS_BOOT: "BIOS boot",
    "024DEE41-33E7-11D3-9D69-0008C781F39F": "MBR partition scheme",
    "E3C9E316-0B5C-4DB8-817D-F92DF00215AE": "Microsoft reserved",
    "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7": "Microsoft basic data",
    "5808C8AA-7E8F-42E0-85D2-E1E90434CFB3": "Windows LDM metadata",
    "AF9B60A0-1431-4F62-BC68-3311714A69AD": "Windows LDM data",
    "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC": "Windows recovery",
    "E75CAF8F-F680-4CEE-AFA3-B001E56EFC2D": "Windows storage spaces",
    "0FC63DAF-8483-4772-8E79-3D69D8477DE4": "Linux",
    "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F": "Linux swap",
    "E6D6D379-F507-44C2-A23C-238F2A3DF928": "Linux LVM",
    "A19D880F-05FC-4D3B-A006-743F0F84911E": "Linux RAID",
    "933AC7E1-2EB4-4F13-B844-0E14E2AEF915": "Linux home",
    "3B8F8425-20E0-4F3B-907F-1A25A76F98E8": "Linux server data",
    "BC13C2FF-59E6-4262-A352-B275FD6F7172": "Linux extended boot",
    "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709": "Linux root (x86-64)",
    "44479540-F297-41B2-9AF7-D131D5F0458A": "Linux root (x86)",
    "B921B045-1DF0-41C3-AF44-4C6F280D3FAE": "Linux root (ARM64)",
    "69DAD710-2CE4-4E3C-B16C-21A1D49ABED3": "Linux root (ARM)",
    "8484680C-9521-48C6-9C11-B0720656F69E": "Linux /usr (x86-64)",
    "B0E01050-EE5F-4390-949A-9101B17104E9": "Linux /usr (ARM64)",
    "2C7357ED-EBD2-46D9-AEC1-23D437EC2BF5": "Linux root verity (x86-64)",
    "DF3300CE-D69F-4C92-978C-9BFB0F38D820": "Linux root verity (ARM64)",
    "77FF5F63-E7B6-4633-ACF4-1565B864C0E6": "Linux /usr verity (x86-64)",
    "4D21B016-B534-45C2-A9FB-5C16E091FD2D": "Linux /var",
    "7EC6F557-3BC5-4ACA-B293-16EF5DF639D1": "Linux /var/tmp",
    "CA7D7CCB-63ED-4C53-861C-1742536059CC": "LUKS",
    "8DA63339-0007-60C0-C436-083AC8230908": "Linux reserved",
    "83BD6B9D-7F41-11DC-BE0B-001560B84F0F": "FreeBSD boot",
    "516E7CB4-6ECF-11D6-8FF8-00022D09712B": "FreeBSD data",
    "516E7CB5-6ECF-11D6-8FF8-00022D09712B": "FreeBSD swap",
    "516E7CB6-6ECF-11D6-8FF8-00022D09712B": "FreeBSD UFS",
    "516E7CBA-6ECF-11D6-8FF8-00022D09712B": "FreeBSD ZFS",
    "824CC7A0-36A8-11E3-890A-952519AD3F61": "OpenBSD data",
    "49F48D5A-B10E-11DC-B99B-0019D1879648": "NetBSD FFS",
    "48465300-0000-11AA-AA11-00306543ECAC": "Apple HFS+",
    "7C3457EF-0000-11AA-AA11-00306543ECAC": "Apple APFS",
    "5DFBF5F4-2848-4BAC-AA5E-0D9A20B745A6": "Flatcar /usr",
    "3884DD41-8582-4404-B9A8-E9B84F2DF50E": "Flatcar root",
    "C95DC21A-DF0E-4340-8D7B-26CBFA9A03E0": "Flatcar OEM",
    "9E1A2D38-C612-4316-AA26-8B49521E5A8B": "PowerPC PReP boot",
}


def type_name(type_guid: UUID) -> str:
    """Name a partition type: `EFI system`, or `unknown`."""
    return _TYPE_NAMES.get(str(type_guid).upper(), "unknown")


def header_crc32_of(sector: bytes) -> int | None:
    """Return the CRC that a header's sector asks for, None when its size field is impossible."""
    size = int.from_bytes(sector[12:16], "little")
    if not HEADER_SIZE <= size <= min(len(sector), _MAX_HEADER_SIZE):
        return None
    return zlib.crc32(sector[:_CRC_OFFSET] + bytes(4) + sector[_CRC_OFFSET + 4 : size])


@dataclass(frozen=True, slots=True)
class GptHeader:
    """A header of a GUID partition table, primary or backup; LBAs are sectors."""

    signature: bytes
    revision: int
    header_size: int
    header_crc32: int
    reserved: int
    current_lba: int
    backup_lba: int
    first_usable_lba: int
    last_usable_lba: int
    disk_guid: UUID
    entries_lba: int
    entry_count: int
    entry_size: int
    entries_crc32: int

    @classmethod
    def parse(cls, data: bytes) -> GptHeader:
        """Read a header from the start of its sector.

        Raises:
            ValueError: There are fewer than 92 bytes.
        """
        if len(data) < HEADER_SIZE:
            raise ValueError(f"a GPT header has {HEADER_SIZE} bytes, not {len(data)}")
        fields = _HEADER.parse(data[:HEADER_SIZE])
        return cls(**{name: fields[name] for name in cls.__slots__})

    def build(self) -> bytes:
        """Return `header_size` bytes, of which those after the 92 defined ones are zero."""
        built: bytes = _HEADER.build({name: getattr(self, name) for name in self.__slots__})
        return built.ljust(min(self.header_size, _MAX_HEADER_SIZE), b"\0")

    def sealed(self) -> GptHeader:
        """Return the same header with the right CRC."""
        crc = header_crc32_of(self.build())
        return self if crc is None else replace(self, header_crc32=crc)

    @property
    def array_size(self) -> int:
        """Bytes of the entry array, as claimed."""
        return self.entry_count * self.entry_size

    @property
    def has_sound_array(self) -> bool:
        """Whether the entry array may be read: entries of 128 * 2^n bytes, 4 MiB at most."""
        size = self.entry_size
        return (
            size >= MIN_ENTRY_SIZE and size & (size - 1) == 0 and self.array_size <= MAX_ARRAY_SIZE
        )


@dataclass(frozen=True, slots=True)
class GptEntry:
    """A used entry of the array; `index` counts from 0, `last_lba` belongs to the partition."""

    index: int
    type_guid: UUID
    unique_guid: UUID
    first_lba: int
    last_lba: int
    attributes: int
    name: str
