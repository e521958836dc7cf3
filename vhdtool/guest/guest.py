"""What is on a disk: its volumes, the systems on them, and the tree of the one to look at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from vhdtool.disk.facts import Signature
from vhdtool.errors import GuestError
from vhdtool.formats.gpt import EFI_SYSTEM
from vhdtool.guest.engine import NATIVE
from vhdtool.guest.mounting import Mount, mount_linux
from vhdtool.guest.product import product
from vhdtool.guest.systems import System, SystemKind, find_systems
from vhdtool.guest.tree import Tree
from vhdtool.guest.volumes import find_volumes
from vhdtool.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vhdtool.disk.facts import PartitionFacts
    from vhdtool.disk.image import Image
    from vhdtool.guest.engine import Engine
    from vhdtool.guest.linux.guest import LinuxGuest
    from vhdtool.guest.volumes import DiskVolume
    from vhdtool.guest.windows.guest import WindowsGuest

_MBR_EFI_SYSTEM = "0xef"
_FAT = frozenset((Signature.FAT12, Signature.FAT16, Signature.FAT32))
# Kinds of volumes on which no system is installed.
_DATA_ONLY = frozenset((Signature.EXFAT, Signature.ISO9660, Signature.SWAP, Signature.LVM))
_LOOKED_FOR_ZEROS = 4096


@dataclass(frozen=True)
class Guest:
    """What is on a disk.

    Attributes:
        volumes: Partitions and logical volumes, or the one file system that fills the disk.
        layout: The partitions.
        systems: The operating systems that were found; more than one is unusual.
        kind: The kind of the first of them, NONE without any, UNKNOWN where a volume that could
            not be read may hold one.
        tree: The files of that system, else of the only file system; None where there is none.
        mounts: What is where in `tree`.
        gaps: What could not be read and should have been, one sentence each.
    """

    volumes: tuple[DiskVolume, ...]
    layout: PartitionFacts
    systems: tuple[System, ...] = ()
    kind: SystemKind = SystemKind.NONE
    tree: Tree | None = None
    mounts: tuple[Mount, ...] = ()
    gaps: tuple[str, ...] = ()

    @cached_property
    def linux(self) -> LinuxGuest | None:
        """The model of a Linux system, None of any other."""
        if self.kind is not SystemKind.LINUX or self.tree is None:
            return None
        from vhdtool.guest.devices import name_volumes
        from vhdtool.guest.linux.guest import LinuxGuest

        return LinuxGuest(
            self.tree, [named.device for named in name_volumes(self.volumes, self.layout)]
        )

    @cached_property
    def windows(self) -> WindowsGuest | None:
        """The model of a Windows system, None of any other."""
        if self.kind is not SystemKind.WINDOWS or self.tree is None:
            return None
        from vhdtool.guest.windows.boot import partition_ids
        from vhdtool.guest.windows.guest import WindowsGuest

        volumes = {
            volume.name: Tree(volume.filesystem)
            for volume in (self.efi_system, self.active)
            if volume is not None and volume.filesystem is not None
        }
        return WindowsGuest(
            self.tree, system_volumes=volumes, partitions=partition_ids(self.layout)
        )

    @property
    def system(self) -> System | None:
        """The system that `tree` shows."""
        return self.systems[0] if self.systems else None

    @property
    def summary(self) -> str:
        """The system in a few words; empty where there is none."""
        if self.system is None:
            return ""
        more = f", and {len(self.systems) - 1} more" if len(self.systems) > 1 else ""
        return f"{product(self.system, self.tree)} on {self.system.place}{more}"

    def volume(self, name: str) -> DiskVolume | None:
        """Return a volume by its name, or a partition by its number."""
        return next(
            (
                one
                for one in self.volumes
                if name in (one.name, one.name.removeprefix("partition "))
            ),
            None,
        )

    @property
    def efi_system(self) -> DiskVolume | None:
        """The first EFI system partition that can be read."""
        for volume in self.volumes:
            partition = volume.partition
            is_efi = partition is not None and partition.type_code in (EFI_SYSTEM, _MBR_EFI_SYSTEM)
            if is_efi and volume.filesystem is not None:
                return volume
        return None

    @property
    def active(self) -> DiskVolume | None:
        """The active partition of an MBR, which a BIOS starts Windows from."""
        for volume in self.volumes:
            if volume.partition is not None and volume.partition.active:
                return volume
        return None


def find_guest(image: Image, layout: PartitionFacts, engine: Engine = NATIVE) -> Guest:
    """Look at what is on a disk; what cannot be read becomes a gap.

    Args:
        image: The disk; it must stay open as long as the guest is used.
        layout: Its partitions.
        engine: What opens file systems.
    """
    volumes, gaps = find_volumes(image, layout, engine)
    return guest_on(volumes, layout, gaps)


def guest_on(volumes: list[DiskVolume], layout: PartitionFacts, unread: Sequence[str]) -> Guest:
    """Look at what is on volumes; `unread` says what of the disk is not among them."""
    systems, gaps = find_systems(volumes)
    gaps = [*unread, *gaps]
    for volume in volumes:
        gaps += _volume_gaps(volume)
    kind = systems[0].kind if systems else _kind_without_system(volumes, bool(gaps))
    tree: Tree | None = None
    mounts: list[Mount] = []
    if kind is SystemKind.LINUX:
        tree, mounts = mount_linux(systems[0], volumes, layout, gaps)
    else:
        shown = systems[0].volume if systems else _only_files(volumes)
        if shown is not None and shown.filesystem is not None:
            tree, mounts = Tree(shown.filesystem), [Mount("/", shown)]
    return Guest(
        volumes=tuple(volumes),
        layout=layout,
        systems=tuple(systems),
        kind=kind,
        tree=tree,
        mounts=tuple(mounts),
        gaps=tuple(printable(gap) for gap in gaps),
    )


def _volume_gaps(volume: DiskVolume) -> list[str]:
    """Say what was not read of a volume that holds a file system that is read."""
    if volume.is_damaged:
        return [f"{volume.name} ({volume.signature}) cannot be read: {volume.reason}"]
    if volume.disk is None and volume.problem is not None:
        return [f"{volume.name} cannot be read: {volume.problem}"]
    if volume.filesystem is None:
        return []
    return [f"{volume.name}: {note}" for note in volume.filesystem.volume.notes]


def _kind_without_system(volumes: list[DiskVolume], has_gaps: bool) -> SystemKind:
    hidden = any(_may_hide_system(volume) for volume in volumes)
    return SystemKind.UNKNOWN if hidden or has_gaps else SystemKind.NONE


def _may_hide_system(volume: DiskVolume) -> bool:
    if volume.filesystem is not None or volume.signature in _DATA_ONLY or volume.disk is None:
        return False
    if volume.signature is not None:
        return True
    try:
        return any(volume.disk.read_at(0, _LOOKED_FOR_ZEROS))
    except (GuestError, OSError, ValueError):
        return True


def _only_files(volumes: list[DiskVolume]) -> DiskVolume | None:
    """Return the one volume with files, an EFI system partition beside it not counted."""
    readable = [volume for volume in volumes if volume.filesystem is not None]
    if len(readable) > 1:
        readable = [volume for volume in readable if volume.signature not in _FAT]
    return readable[0] if len(readable) == 1 else None
