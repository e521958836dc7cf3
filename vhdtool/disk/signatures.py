"""Tell what a volume starts with: file systems, encryption, RAID and LVM members, swap.

Sources: the magic numbers that the kernel's headers and libblkid's documentation give.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.disk.facts import Signature
from vhdtool.formats.mbr import BOOT_SIGNATURE
from vhdtool.units import KIB, SECTOR_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Read = Callable[[int, int], bytes]

# Enough for the superblocks of btrfs and UFS2 at 64 KiB.
_HEAD_LENGTH = 72 * KIB

# (offset, magic, what it means); containers before what they may contain.
_MAGICS = (
    (0, b"LUKS\xba\xbe", Signature.LUKS),
    (3, b"-FVE-FS-", Signature.BITLOCKER),
    (0, b"\xfc\x4e\x2b\xa9", Signature.MD_RAID),  # metadata 1.1
    (4096, b"\xfc\x4e\x2b\xa9", Signature.MD_RAID),  # metadata 1.2
    (3, b"NTFS    ", Signature.NTFS),
    (3, b"EXFAT   ", Signature.EXFAT),
    (3, b"ReFS\0\0\0\0", Signature.REFS),
    (0, b"XFSB", Signature.XFS),
    *((page - 10, b"SWAPSPACE2", Signature.SWAP) for page in (4096, 8192, 16384, 32768, 65536)),
    *((page - 10, b"SWAP-SPACE", Signature.SWAP) for page in (4096, 8192, 16384, 32768, 65536)),
    (1080, b"\x53\xef", Signature.EXT),
    (65600, b"_BHRfS_M", Signature.BTRFS),
    (9564, b"\x54\x19\x01\x00", Signature.UFS),  # UFS1 at 8 KiB
    (9564, b"\x19\x01\x54\x19", Signature.UFS),  # UFS2 at 8 KiB
    (66908, b"\x19\x01\x54\x19", Signature.UFS),  # UFS2 at 64 KiB
    (32769, b"CD001", Signature.ISO9660),
    (32, b"NXSB", Signature.APFS),
    (0, b"hsqs", Signature.SQUASHFS),
    (1024, b"\xe2\xe1\xf5\xe0", Signature.EROFS),
    (1024, b"\x10\x20\xf5\xf2", Signature.F2FS),
    (1024, b"H+\x00\x04", Signature.HFS_PLUS),
    (1024, b"HX\x00\x05", Signature.HFS_PLUS),
    (32768, b"JFS1", Signature.JFS),
    (65588, b"ReIsEr", Signature.REISERFS),
    (4120, bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81"), Signature.BCACHEFS),
    (6 * SECTOR_SIZE, b"PRIVHEAD", Signature.LDM),
)
_MD_MAGIC = b"\xfc\x4e\x2b\xa9"
# Uberblocks fill the second half of a ZFS label of 256 KiB, 1 KiB each or more.
_UBERBLOCKS = (128 * KIB, 128 * KIB)
_UBERBLOCK_MAGICS = (b"\x0c\xb1\xba\0\0\0\0\0", b"\0\0\0\0\0\xba\xb1\x0c")
# A BitLocker To Go volume looks like FAT32 but for this GUID.
_BITLOCKER_TO_GO = (424, bytes.fromhex("3bd66749292ed84a8399f6a339e3d001"))


def find_signature(read: Read, offset: int, length: int) -> Signature | None:
    """Tell what the volume of `length` bytes at `offset` starts with, None when unknown.

    Args:
        read: Reads (offset, length) of the disk; shorter, or empty, where it cannot.
        offset: Where the volume starts on the disk, in bytes.
        length: Bytes of the volume, for structures that stand at its end.
    """
    head = read(offset, min(length, _HEAD_LENGTH))
    if _is_lvm(head):
        return Signature.LVM
    if _is_raid_member(read, offset, length):
        return Signature.MD_RAID
    if head.startswith(_BITLOCKER_TO_GO[1], _BITLOCKER_TO_GO[0]):
        return Signature.BITLOCKER
    for at, magic, signature in _MAGICS:
        if head.startswith(magic, at):
            return signature
    return _fat(head) or _rarely(read, offset, length)


def _rarely(read: Read, offset: int, length: int) -> Signature | None:
    """Look where only what is rare has its structures, which takes more reads."""
    start, size = _UBERBLOCKS
    if length < start + size:
        return None
    labels = read(offset + start, size)
    if any(labels.startswith(_UBERBLOCK_MAGICS, place) for place in range(0, len(labels), KIB)):
        return Signature.ZFS
    # The metadata partition of a dynamic GPT disk has its header in the last sector.
    if read(offset + length - SECTOR_SIZE, 8) == b"PRIVHEAD":
        return Signature.LDM
    return None


def _is_lvm(head: bytes) -> bool:
    """The label is in one of the first four sectors."""
    return any(
        head.startswith(b"LABELONE", sector * SECTOR_SIZE)
        and head.startswith(b"LVM2", sector * SECTOR_SIZE + 24)
        for sector in range(4)
    )


def _is_raid_member(read: Read, offset: int, length: int) -> bool:
    """Whether an md superblock stands at the end, as with metadata 0.90 and 1.0."""
    return any(
        place > 0 and read(offset + place, 4) == _MD_MAGIC for place in _superblocks_at_end(length)
    )


def _superblocks_at_end(length: int) -> Iterator[int]:
    yield (length // (64 * KIB) - 1) * 64 * KIB
    yield (length - 8 * KIB) // (4 * KIB) * 4 * KIB


def _fat(head: bytes) -> Signature | None:
    """Recognise FAT by its parameter block, as firmware and Windows do, not by its label."""
    if len(head) < SECTOR_SIZE or head[510:512] != BOOT_SIGNATURE or head[0] not in (0xEB, 0xE9):
        return None
    sector = int.from_bytes(head[11:13], "little")
    cluster = head[13]
    reserved = int.from_bytes(head[14:16], "little")
    fats = head[16]
    root_entries = int.from_bytes(head[17:19], "little")
    sectors = int.from_bytes(head[19:21], "little") or int.from_bytes(head[32:36], "little")
    fat_sectors = int.from_bytes(head[22:24], "little")
    sound = sector in (512, 1024, 2048, 4096) and cluster > 0 and cluster & (cluster - 1) == 0
    if not sound or reserved == 0 or fats not in (1, 2) or head[21] < 0xF0:
        return None
    if fat_sectors == 0:
        return Signature.FAT32 if root_entries == 0 else None
    root_sectors = -(-root_entries * 32 // sector)
    clusters = (sectors - reserved - fats * fat_sectors - root_sectors) // cluster
    return Signature.FAT12 if clusters < 4085 else Signature.FAT16
