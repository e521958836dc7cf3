"""The volumes of a disk: partitions, logical volumes, and a file system that fills the disk."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from vhdtool import _native
from vhdtool.disk.facts import Signature
from vhdtool.disk.signatures import find_signature
from vhdtool.errors import FormatError, GuestError
from vhdtool.formats.mbr import EXTENDED_TYPES
from vhdtool.guest.engine import NATIVE
from vhdtool.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool._native import Disk
    from vhdtool.disk.facts import Partition, PartitionFacts
    from vhdtool.disk.image import Image
    from vhdtool.guest.engine import Engine
    from vhdtool.guest.filesystem import FileSystem

WHOLE_DISK = "disk"
# Each volume that is opened costs reads, and a hostile table may have 32768 partitions.
MAX_VOLUMES = 128

_EXTENDED = frozenset(f"{code:#04x}" for code in EXTENDED_TYPES)
# What holds no files of its own.
_NO_FILES = frozenset((Signature.SWAP, Signature.LVM))
_ENCRYPTED = frozenset((Signature.LUKS, Signature.BITLOCKER))


@dataclass(frozen=True)
class DiskVolume:
    """A stretch of the disk that may hold a file system.

    Attributes:
        name: `partition 2`, `rootvg/rootlv`, or `disk` for a file system without partitions.
        disk: Its bytes, clipped to the disk; None where there are none.
        signature: What it starts with, None for nothing that is known.
        partition: The partition, None for a logical volume or a whole disk.
        problem: Why its bytes cannot be read, or not all of them, one clause.
        engine: What opens its file system.
    """

    name: str
    disk: Disk | None
    signature: Signature | None
    partition: Partition | None = None
    problem: str | None = None
    engine: Engine = NATIVE

    @property
    def size(self) -> int:
        """Bytes that are on the disk."""
        return 0 if self.disk is None else self.disk.size

    @property
    def filesystem(self) -> FileSystem | None:
        """The file system, opened when first asked for; None where there is none that is read."""
        opened = self._opened
        return None if isinstance(opened, str) else opened

    @property
    def reason(self) -> str | None:
        """Why there is no file system to read, one clause; None where there is one."""
        opened = self._opened
        return opened if isinstance(opened, str) else None

    @property
    def is_unread(self) -> bool:
        """Whether files may be here that are not read by design: encrypted, RAID, UFS, ReFS."""
        return self._may_have_files and not self._is_read

    @property
    def is_damaged(self) -> bool:
        """Whether files should be here that cannot be read."""
        return self._may_have_files and self._is_read and self.filesystem is None

    @property
    def _may_have_files(self) -> bool:
        return self.signature is not None and self.signature not in _NO_FILES

    @property
    def _is_read(self) -> bool:
        return self.signature is not None and self.engine.reads(self.signature)

    @cached_property
    def _opened(self) -> FileSystem | str:
        if self.signature is None:
            return self.problem or "it starts with nothing that is known"
        if self.signature in _NO_FILES:
            return f"it is {self.signature}, which holds no files"
        if not self.engine.reads(self.signature):
            kind = (
                "encrypted with" if self.signature in _ENCRYPTED else "of a kind that is not read:"
            )
            return f"it is {kind} {self.signature}"
        try:
            return self.engine.open(self)
        except GuestError as error:
            return str(error)


def find_volumes(
    image: Image, layout: PartitionFacts, engine: Engine = NATIVE
) -> tuple[list[DiskVolume], list[str]]:
    """Return the volumes of a disk in the order of their numbers, and what could not be read.

    Args:
        image: The disk; it must stay open as long as the volumes are used.
        layout: Its partitions.
        engine: What opens file systems.
    """
    gaps: list[str] = []
    if layout.partitions:
        volumes = [
            _of_partition(image, partition, engine)
            for partition in layout.partitions
            if partition.type_code not in _EXTENDED
        ]
    elif layout.bare_signature is not None:
        volumes = [DiskVolume(WHOLE_DISK, image.native, layout.bare_signature, engine=engine)]
    else:
        volumes = []
    if len(volumes) > MAX_VOLUMES:
        gaps.append(f"of {len(volumes)} partitions only the first {MAX_VOLUMES} were looked at")
        del volumes[MAX_VOLUMES:]
    volumes += _logical_volumes(volumes, gaps, engine)
    return volumes, gaps


def _of_partition(image: Image, partition: Partition, engine: Engine) -> DiskVolume:
    name = f"partition {partition.number}"
    signature = partition.signature
    inside = min(partition.length, image.size - partition.offset)
    if partition.length <= 0 or partition.offset < 0 or inside <= 0:
        return DiskVolume(name, None, None, partition, "it lies outside the disk")
    problem = None
    if inside < partition.length:
        problem = f"{partition.length - inside} bytes of it lie past the end of the disk"
    disk = image.native.slice(partition.offset, inside)
    return DiskVolume(name, disk, signature, partition, problem, engine)


def _logical_volumes(
    volumes: list[DiskVolume], gaps: list[str], engine: Engine
) -> Iterator[DiskVolume]:
    physical = [
        volume.disk
        for volume in volumes
        if volume.signature is Signature.LVM and volume.disk is not None
    ]
    if not physical:
        return
    try:
        found = _native.lvm_volumes(physical)
    except (FormatError, OSError, ValueError) as error:
        gaps.append(f"the logical volumes cannot be read: {error}")
        return
    for group, name, disk, note in found[:MAX_VOLUMES]:
        full_name = printable(f"{group}/{name}")
        signature = None if disk is None else _signature(disk)
        yield DiskVolume(full_name, disk, signature, problem=note or None, engine=engine)
    if len(found) > MAX_VOLUMES:
        gaps.append(f"of {len(found)} logical volumes only {MAX_VOLUMES} were looked at")


def _signature(disk: Disk) -> Signature | None:
    def read(offset: int, length: int) -> bytes:
        try:
            return disk.read_at(offset, length)
        except (FormatError, OSError, ValueError):
            return b""

    return find_signature(read, 0, disk.size)
