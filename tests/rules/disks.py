"""Disks for tests of rules, and what a rule finds on them.

A disk is given as pieces (`{offset: bytes}`, see tests.builders), and its partitions in MiB:

    pieces = gpt([Part(ESP_GUID, 1, 8, fat32()), Part(LINUX_GUID, 9, 40, ext4())], code=grub())
    finding = hit(fixed(tmp_path, pieces), "DSK101")

The volumes are only what tells their kind: a boot sector or a superblock.
"""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import vhdtool
from tests.builders import (
    MIB,
    SECTOR,
    Pieces,
    flatten,
    footer,
    gpt_pieces,
    mbr_sector,
    write_fixed_vhd,
)
from vhdtool.rules.model import DiskLocation, FileLocation, Profile

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vhdtool.rules.model import Finding, Hit

SIZE = 64 * MIB
SECTORS_PER_MIB = MIB // SECTOR

BIOS_BOOT_GUID = uuid.UUID("21686148-6449-6E6F-744E-656564454649")
MSR_GUID = uuid.UUID("E3C9E316-0B5C-4DB8-817D-F92DF00215AE")
BASIC_DATA_GUID = uuid.UUID("EBD0A0A2-B9E5-4433-87C0-68B6B72699C7")
LDM_DATA_GUID = uuid.UUID("AF9B60A0-1431-4F62-BC68-3311714A69AD")
SWAP_GUID = uuid.UUID("0657FD6D-A4AB-43C4-84E5-0933C84B4F4F")
LVM_GUID = uuid.UUID("E6D6D379-F507-44C2-A23C-238F2A3DF928")
RAID_GUID = uuid.UUID("A19D880F-05FC-4D3B-A006-743F0F84911E")
FREEBSD_UFS_GUID = uuid.UUID("516E7CB6-6ECF-11D6-8FF8-00022D09712B")

# Boot code that is none of GRUB's: what Windows and others write.
BOOT_CODE = bytes.fromhex("33c08ed0bc007c").ljust(440, b"\x90")


def hits(path: Path, code: str, *profiles: Profile, **options: Any) -> list[Finding]:
    """Run one rule over an image, for all profiles where none is named.

    Whatever evidence a finding has must be what stands at its location.
    """
    report = vhdtool.check(path, select=[code], profiles=profiles or tuple(Profile), **options)
    assert report.failures == ()
    for finding in report.findings:
        assert finding.rule.code == code
        _verify(path, finding.hit)
    return list(report.findings)


def hit(path: Path, code: str, *profiles: Profile, **options: Any) -> Finding:
    """Return the only finding of a rule."""
    [finding] = hits(path, code, *profiles, **options)
    return finding


def _verify(path: Path, found: Hit) -> None:
    assert not found.message.split()[0].istitle()
    assert not found.message.endswith(".")
    if not found.evidence:
        return
    assert len(found.evidence) <= 64
    if isinstance(found.location, FileLocation):
        with path.open("rb") as file:
            file.seek(found.location.offset)
            assert file.read(len(found.evidence)) == found.evidence
    else:
        assert isinstance(found.location, DiskLocation)
        with vhdtool.open_image(path) as image:
            assert image.read_at(found.location.offset, len(found.evidence)) == found.evidence


def fixed(folder: Path, pieces: Pieces | None = None, size: int = SIZE, **fields: Any) -> Path:
    """Write a fixed VHD whose footer has other values in some fields."""
    return write_fixed_vhd(folder / "disk.vhd", size, pieces, footer(size, **fields))


@dataclass(frozen=True)
class Part:
    """A partition; `kind` is an MBR type or a GPT type GUID."""

    kind: int | uuid.UUID
    first: int  # MiB
    length: int  # MiB
    content: bytes = b""
    name: str = ""

    @property
    def offset(self) -> int:
        return self.first * MIB


def gpt(
    parts: Sequence[Part], *, size: int = SIZE, code: bytes = b"", sector_size: int = SECTOR
) -> Pieces:
    """Return a disk with a GUID partition table, a protective MBR with `code`, and its volumes."""
    per_mib = MIB // sector_size
    entries = []
    for part in parts:
        assert isinstance(part.kind, uuid.UUID)
        first = part.first * per_mib
        entries.append((part.kind, first, first + part.length * per_mib - 1, part.name))
    pieces = gpt_pieces(size, entries, sector_size=sector_size)
    pieces[0] = mbr_sector([(0xEE, 1, size // sector_size - 1)], code=code, signature=0)
    return pieces | {part.offset: part.content for part in parts if part.content}


def mbr(parts: Sequence[Part], *, active: int | None = None, code: bytes = b"") -> Pieces:
    """Return a disk with a master boot record and its volumes."""
    entries = []
    for part in parts:
        assert isinstance(part.kind, int)
        entries.append((part.kind, part.first * SECTORS_PER_MIB, part.length * SECTORS_PER_MIB))
    pieces = {0: mbr_sector(entries, active=active, code=code)}
    return pieces | {part.offset: part.content for part in parts if part.content}


def grub(core_lba: int = 1) -> bytes:
    """Return boot code as GRUB writes it: its name, and where its core image starts."""
    code = bytearray(b"\xeb\x63\x90".ljust(440, b"\x90"))
    code[0x5C:0x64] = struct.pack("<Q", core_lba)
    code[0x180:0x185] = b"GRUB "
    return bytes(code)


def grub_core(lba: int = 1, sectors: int = 8) -> bytes:
    """Return a core image: the first sector ends with the range of the others."""
    first = bytearray(b"\x52\xe8".ljust(SECTOR, b"\0"))
    first[0x1F4:0x200] = struct.pack("<QHH", lba + 1, sectors - 1, 0x820)
    return bytes(first) + b"\xc3" * (SECTOR * (sectors - 1))


def ntfs(bytes_per_sector: int = SECTOR) -> bytes:
    sector = b"\xeb\x52\x90NTFS    " + struct.pack("<HB", bytes_per_sector, 8)
    return sector.ljust(510, b"\0") + b"\x55\xaa"


def bitlocker() -> bytes:
    return b"\xeb\x58\x90-FVE-FS-".ljust(510, b"\0") + b"\x55\xaa"


def fat16(*, dirty: bool = False, bytes_per_sector: int = SECTOR) -> bytes:
    head = struct.pack(
        "<3s8sHBHBHHBH", b"\xeb\x3c\x90", b"mkfs.fat", bytes_per_sector, 4, 4, 2, 512, 0, 0xF8, 32
    )
    head = head.ljust(32, b"\0") + struct.pack("<IBB", 32768, 0x80, dirty)
    return head.ljust(510, b"\0") + b"\x55\xaa"


def fat32(*, dirty: bool = False) -> bytes:
    head = struct.pack(
        "<3s8sHBHBHHBH", b"\xeb\x58\x90", b"mkfs.fat", SECTOR, 1, 32, 2, 0, 0, 0xF8, 0
    )
    head = head.ljust(32, b"\0") + struct.pack("<II", 131072, 1009)
    head = head.ljust(64, b"\0") + struct.pack("<BB", 0x80, dirty)
    return head.ljust(510, b"\0") + b"\x55\xaa"


def ext4() -> bytes:
    return flatten(2048, {1080: b"\x53\xef"})


def xfs() -> bytes:
    return b"XFSB".ljust(SECTOR, b"\0")


def swap() -> bytes:
    return flatten(4096, {4086: b"SWAPSPACE2"})


def lvm() -> bytes:
    return flatten(1024, {512: b"LABELONE", 536: b"LVM2 001"})


def raid() -> bytes:
    return flatten(4608, {4096: b"\xfc\x4e\x2b\xa9"})


def luks() -> bytes:
    return b"LUKS\xba\xbe\0\2".ljust(SECTOR, b"\0")


def ufs() -> bytes:
    return flatten(67072, {66908: b"\x19\x01\x54\x19"})
