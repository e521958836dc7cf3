"""Find the operating systems on volumes, by the files that each has."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from vhdtool.disk.facts import Signature
from vhdtool.errors import GuestError
from vhdtool.guest.linux.files import Files
from vhdtool.guest.linux.fstab import read_fstab
from vhdtool.guest.rooted import RootedFileSystem
from vhdtool.guest.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vhdtool.guest.filesystem import FileSystem
    from vhdtool.guest.linux.fstab import Mount
    from vhdtool.guest.volumes import DiskVolume

# A root has either of the first two; older distributions have one of the others.
_RELEASES = (
    "etc/os-release",
    "usr/lib/os-release",
    "etc/redhat-release",
    "etc/debian_version",
    "etc/SuSE-release",
    "etc/alpine-release",
    "etc/arch-release",
)
_SYSTEM_HIVE = "Windows/System32/config/SYSTEM"
_WINDOWS_KINDS = frozenset((Signature.NTFS, Signature.REFS))
# Subvolumes that distributions and installers put a root in, the likely ones first.
_SUBVOLUMES = ("@", "@rootfs", "root", "@root")
_SNAPSHOTS = "@/.snapshots"
_MAX_SUBVOLUMES = 64
_BSD_TYPES = ("FreeBSD", "OpenBSD", "NetBSD")


class SystemKind(StrEnum):
    """The kinds of operating systems that are told apart."""

    LINUX = "linux"
    WINDOWS = "windows"
    BSD = "bsd"
    NONE = "none"  # no system: a data disk
    UNKNOWN = "unknown"  # not told, since something could not be read


@dataclass(frozen=True)
class System:
    """A system and where its root is.

    Attributes:
        kind: LINUX, WINDOWS or BSD.
        volume: The volume of its root file system.
        root: Its root file system; None for a BSD, whose UFS is not read.
        subvolume: The path of the btrfs subvolume that is the root, "" where that is the top.
    """

    kind: SystemKind
    volume: DiskVolume
    root: FileSystem | None
    subvolume: str = ""

    @property
    def place(self) -> str:
        """Where it is: `partition 2`, `partition 3, subvolume @`."""
        return (
            f"{self.volume.name}, subvolume {self.subvolume}"
            if self.subvolume
            else (self.volume.name)
        )


def find_systems(volumes: Iterable[DiskVolume]) -> tuple[list[System], list[str]]:
    """Return the systems on some volumes, in their order, and what could not be read."""
    systems: list[System] = []
    gaps: list[str] = []
    for volume in volumes:
        try:
            system = _system(volume)
        except GuestError as error:
            gaps.append(f"{volume.name} cannot be read whole: {error}")
            continue
        if system is not None:
            systems.append(system)
    # The partitions of one BSD are one system, whatever their number.
    first_bsd = next((system for system in systems if system.kind is SystemKind.BSD), None)
    return [s for s in systems if s.kind is not SystemKind.BSD or s is first_bsd], gaps


def _system(volume: DiskVolume) -> System | None:
    if volume.signature is Signature.UFS or _is_bsd_partition(volume):
        return System(SystemKind.BSD, volume, None)
    filesystem = volume.filesystem
    if filesystem is None:
        return None
    if volume.signature in _WINDOWS_KINDS:
        if Tree(filesystem).is_file(_SYSTEM_HIVE):
            return System(SystemKind.WINDOWS, volume, filesystem)
        return None
    candidates = list(_linux_roots(volume, filesystem))
    if len(candidates) < 2:
        return candidates[0] if candidates else None
    # Of several subvolumes the one whose own fstab mounts it as the root.
    return next((system for system in candidates if _is_own_root(system)), candidates[0])


def _is_bsd_partition(volume: DiskVolume) -> bool:
    partition = volume.partition
    return (
        partition is not None
        and partition.type_name.startswith(_BSD_TYPES)
        and (volume.signature is None)
    )


def _linux_roots(volume: DiskVolume, filesystem: FileSystem) -> Iterator[System]:
    if _is_linux_root(filesystem):
        yield System(SystemKind.LINUX, volume, filesystem)
    if volume.signature is not Signature.BTRFS:
        return
    tree = Tree(filesystem)
    names = [name for name in tree.names("/") if name not in _SUBVOLUMES]
    snapshots = sorted(tree.names(_SNAPSHOTS), key=lambda name: (len(name), name), reverse=True)
    paths = [
        *_SUBVOLUMES,
        *names[:_MAX_SUBVOLUMES],
        *(f"{_SNAPSHOTS}/{name}/snapshot" for name in snapshots[:_MAX_SUBVOLUMES]),
    ]
    for path in paths:
        place = tree.find(path, follow=False)
        if place is None or not tree.is_folder(path):
            continue
        rooted = RootedFileSystem(filesystem, place.node)
        if _is_linux_root(rooted):
            yield System(SystemKind.LINUX, volume, rooted, path)


def _is_linux_root(filesystem: FileSystem) -> bool:
    """Whether a Linux system is at the root of a file system; a link may lead to a /usr apart."""
    tree = Tree(filesystem)
    return tree.is_folder("etc") and any(
        tree.stat(path, follow=False) is not None for path in _RELEASES
    )


def _is_own_root(system: System) -> bool:
    if system.root is None:
        return False
    try:
        mounts = read_fstab(Files(Tree(system.root)))
    except GuestError:
        return False
    return any(one.point == "/" and subvolume_of(one) == system.subvolume for one in mounts)


def subvolume_of(mount: Mount) -> str:
    """Return the path of the subvolume that a line of fstab mounts, "" for the top."""
    named = [option.partition("=") for option in mount.options]
    return next((value.strip("/") for name, _, value in reversed(named) if name == "subvol"), "")
