"""Build the tree of a Linux guest: its root, and what is mounted in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vhdtool.disk.facts import Signature
from vhdtool.errors import GuestError
from vhdtool.formats.gpt import EFI_SYSTEM
from vhdtool.guest.devices import find_volume, name_volumes
from vhdtool.guest.linux.files import Files
from vhdtool.guest.linux.fstab import device_tag, read_fstab
from vhdtool.guest.systems import subvolume_of
from vhdtool.guest.tree import Tree
from vhdtool.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vhdtool.disk.facts import PartitionFacts
    from vhdtool.guest.devices import NamedVolume
    from vhdtool.guest.linux import fstab
    from vhdtool.guest.systems import System
    from vhdtool.guest.volumes import DiskVolume

_MAX_MOUNTS = 64
_NOT_FILES = frozenset(("swap", "none", "ignore"))
# Without these a system is not whole; what else is on another disk may be data.
_OF_THE_SYSTEM = frozenset(("/boot", "/etc", "/root", "/usr", "/var", "/var/lib"))
_BOOT_FILES = ("grub", "grub2", "loader", "extlinux", "syslinux")
_KERNELS = ("vmlinuz", "vmlinux", "Image", "bzImage")
_ESP_FOLDERS = ("/boot/efi", "/efi", "/boot")
_MBR_EFI_SYSTEM = "0xef"
_FAT = frozenset((Signature.FAT12, Signature.FAT16, Signature.FAT32))


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume in the tree of a guest.

    Attributes:
        folder: Where it is mounted, without symbolic links.
        volume: What is mounted.
        subvolume: The path of a btrfs subvolume, "" for the top.
        line: The line of /etc/fstab that says so; None where its content says so.
    """

    folder: str
    volume: DiskVolume
    subvolume: str = ""
    line: int | None = None


def mount_linux(
    system: System, volumes: Sequence[DiskVolume], layout: PartitionFacts, gaps: list[str]
) -> tuple[Tree, list[Mount]]:
    """Build the tree of a Linux system by its /etc/fstab, /boot and the ESP by content if need be.

    What belongs to the system and cannot be mounted is added to `gaps`.
    """
    assert system.root is not None
    tree = Tree(system.root)
    mounter = _Mounter(tree, [Mount("/", system.volume, system.subvolume)], gaps)
    named = name_volumes(volumes, layout)
    for line in _lines(tree, gaps):
        mounter.by_fstab(line, named)
    mounter.boot(volumes)
    mounter.efi(volumes)
    return tree, mounter.mounts


def _lines(tree: Tree, gaps: list[str]) -> list[fstab.Mount]:
    """Return the lines that mount something of a disk, folders before what is in them."""
    try:
        lines = read_fstab(Files(tree))
    except GuestError as error:
        gaps.append(f"/etc/fstab cannot be read: {error}")
        return []
    found = [
        line
        for line in lines
        if line.kind not in _NOT_FILES
        and line.point.strip("/")
        and line.point.startswith("/")
        and (line.device.startswith("/dev/") or device_tag(line.device) is not None)
    ]
    if len(found) > _MAX_MOUNTS:
        gaps.append(f"of {len(found)} mounts in /etc/fstab only {_MAX_MOUNTS} were looked at")
    return sorted(found[:_MAX_MOUNTS], key=lambda line: line.point.rstrip("/").count("/"))


@dataclass(slots=True)
class _Mounter:
    tree: Tree
    mounts: list[Mount]
    gaps: list[str]

    def by_fstab(self, line: fstab.Mount, volumes: Sequence[NamedVolume]) -> None:
        """Mount what one line says, or say why not."""
        volume = find_volume(line.device, volumes)
        subvolume = subvolume_of(line)
        if volume is None:
            if line.point.rstrip("/") not in _OF_THE_SYSTEM:
                return
            problem = f"{line.device} is not on this disk"
        elif not subvolume and any(option.startswith("subvolid=") for option in line.options):
            problem = "a subvolume that is given by its number only is not looked for"
        else:
            problem = self._mount(Mount(line.point, volume, subvolume, line.line.number))
        if problem:
            self.gaps.append(printable(f"{line.point} is not mounted: {problem}"))

    def boot(self, volumes: Sequence[DiskVolume]) -> None:
        """Mount the volume that holds kernels and loaders on a /boot that holds none."""
        if self._is_mounted("/boot") or self._has_boot_files(self.tree, "/boot"):
            return
        for volume in self._unused(volumes):
            filesystem = volume.filesystem
            if filesystem is not None and volume.signature not in _FAT:
                found = self._has_boot_files(Tree(filesystem), "/")
                if found and self._mount(Mount("/boot", volume)) == "":
                    return

    def efi(self, volumes: Sequence[DiskVolume]) -> None:
        """Mount the EFI system partition, where no line says where."""
        for volume in self._unused(volumes):
            partition = volume.partition
            if partition is None or partition.type_code not in (EFI_SYSTEM, _MBR_EFI_SYSTEM):
                continue
            for folder in _ESP_FOLDERS:
                if not self._is_mounted(folder) and self._is_empty(folder):
                    self._mount(Mount(folder, volume))
                    return

    def _mount(self, mount: Mount) -> str:
        """Mount a volume; return why that is not possible, "" where it is."""
        filesystem = mount.volume.filesystem
        if filesystem is None:
            return f"{mount.volume.name}: {mount.volume.reason}"
        try:
            node = None
            if mount.subvolume:
                place = Tree(filesystem).find(mount.subvolume, follow=False)
                if place is None:
                    return f"{mount.volume.name} has no subvolume {mount.subvolume}"
                node = place.node
            if not self.tree.mount(mount.folder, filesystem, node):
                return "there is no such folder"
        except GuestError as error:
            return str(error)
        path, _ = self.tree.mounts[-1]
        self.mounts.append(Mount(path, mount.volume, mount.subvolume, mount.line))
        return ""

    def _is_mounted(self, folder: str) -> bool:
        return any(mount.folder == folder for mount in self.mounts)

    def _unused(self, volumes: Sequence[DiskVolume]) -> list[DiskVolume]:
        used = {mount.volume.name for mount in self.mounts}
        return [volume for volume in volumes if volume.name not in used]

    def _is_empty(self, folder: str) -> bool:
        try:
            return self.tree.is_folder(folder) and not self.tree.names(folder)
        except GuestError:
            return False

    def _has_boot_files(self, tree: Tree, folder: str) -> bool:
        try:
            names = tree.names(folder)
        except GuestError:
            return False
        return any(name in _BOOT_FILES or name.startswith(_KERNELS) for name in names)
