"""Tell what a file is, by its content. Names are not looked at, and few bytes are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vhdtool.disk.facts import ImageFormat
from vhdtool.disk.footers import find_footers
from vhdtool.formats.vhd import DiskType

if TYPE_CHECKING:
    from vhdtool._native import File
    from vhdtool.disk.footers import Footers

_MAGICS: tuple[tuple[int, bytes, ImageFormat], ...] = (
    (0, b"vhdxfile", ImageFormat.VHDX),
    (0, b"QFI\xfb", ImageFormat.QCOW2),
    (0, b"KDMV", ImageFormat.VMDK),
    (0, b"COWD", ImageFormat.VMDK),
    (64, b"\x7f\x10\xda\xbe", ImageFormat.VDI),
    (0, b"\x1f\x8b\x08", ImageFormat.GZIP),
    (0, b"\xfd7zXZ\0", ImageFormat.XZ),
    (0, b"\x28\xb5\x2f\xfd", ImageFormat.ZSTD),
    (0, b"PK\x03\x04", ImageFormat.ZIP),
    (0, b"PK\x05\x06", ImageFormat.ZIP),
)
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")  # a block, and the end of an empty stream
_VMDK_DESCRIPTOR = b"# disk descriptorfile"
_ISO_DESCRIPTOR = 32768  # ECMA-119 6.2.1: logical sector 16 of 2048 bytes
_ISO_BLOCK = 2048
_HEAD_LENGTH = _ISO_DESCRIPTOR + 128

_VHD_FORMATS = {
    DiskType.FIXED: ImageFormat.VHD_FIXED,
    DiskType.DYNAMIC: ImageFormat.VHD_DYNAMIC,
    DiskType.DIFFERENCING: ImageFormat.VHD_DIFFERENCING,
}


@dataclass(frozen=True, slots=True)
class Detected:
    """What a file is, and for a VHD its footers."""

    format: ImageFormat
    footers: Footers | None = None


def detect(file: File) -> Detected:
    """Tell what `file` is. A VHD first: only its end tells a fixed one from its guest's data."""
    footers = find_footers(file)
    if footers is not None:
        disk_type = footers.active.value.disk_type
        known = disk_type in _VHD_FORMATS
        vhd_format = _VHD_FORMATS[DiskType(disk_type)] if known else ImageFormat.VHD_OTHER
        return Detected(vhd_format, footers)
    return Detected(by_magic(file.read_at(0, _HEAD_LENGTH), file.size))


def by_magic(head: bytes, file_size: int) -> ImageFormat:
    """Tell a format from the first bytes of a file; a VHD is not told by them."""
    for offset, magic, image_format in _MAGICS:
        if head.startswith(magic, offset):
            return image_format
    if head.startswith(b"BZh") and head[4:10] in _BZIP2_BLOCKS:
        return ImageFormat.BZIP2
    if head[:64].lstrip().lower().startswith(_VMDK_DESCRIPTOR):
        return ImageFormat.VMDK
    if _is_iso(head, file_size):
        return ImageFormat.ISO
    return ImageFormat.RAW


def _is_iso(head: bytes, file_size: int) -> bool:
    """Whether an ISO 9660 volume fills the file.

    A disk that once held one keeps its descriptor when it is partitioned anew.
    """
    if not head.startswith(b"\x01CD001", _ISO_DESCRIPTOR):
        return False
    blocks = int.from_bytes(head[_ISO_DESCRIPTOR + 80 : _ISO_DESCRIPTOR + 84], "little")
    return 2 * blocks * _ISO_BLOCK >= file_size
