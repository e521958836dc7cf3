"""Which volume a device name of a Linux guest means.

Sources: fstab(5), mount(8); udev's rules for /dev/disk; lvm(8) on doubled hyphens in mapper names.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vhdtool.disk.facts import PartitionFacts
    from vhdtool.guest.volumes import DiskVolume

# Partitions of the first disk; another letter or number is another disk.
_PARTITION = re.compile(r"/dev/(?:(?:s|v|h|xv)da|(?:nvme0n1|mmcblk0)p)([1-9][0-9]*)")
_BY = {
    "/dev/disk/by-uuid/": "UUID",
    "/dev/disk/by-label/": "LABEL",
    "/dev/disk/by-partuuid/": "PARTUUID",
    "/dev/disk/by-partlabel/": "PARTLABEL",
}
_UDEV_ESCAPE = re.compile(r"\\x([0-9a-fA-F]{2})")


class Devices:
    """The volumes of a disk by the names that a Linux guest has for them."""

    def __init__(self, volumes: Iterable[DiskVolume], layout: PartitionFacts) -> None:
        """Index the volumes; those without a file system have no UUID and no label."""
        self._known: dict[tuple[str, str], DiskVolume] = {}
        for volume in volumes:
            for kind, value in _names(volume, layout):
                if value:
                    self._known.setdefault((kind, value), volume)

    def find(self, device: str) -> DiskVolume | None:
        """Return the volume that a device name means; None where it is not on this disk."""
        kind, equals, value = device.partition("=")
        if not equals:
            kind, value = _split(device)
        if kind in ("UUID", "PARTUUID"):
            value = value.lower()
        return self._known.get((kind, value))


def is_device(device: str) -> bool:
    """Whether a first field of fstab names a disk's volume, on this disk or on another."""
    return device.startswith(("/dev/", "UUID=", "LABEL=", "PARTUUID=", "PARTLABEL="))


def _split(device: str) -> tuple[str, str]:
    for folder, kind in _BY.items():
        if device.startswith(folder):
            raw = _UDEV_ESCAPE.sub(lambda match: chr(int(match[1], 16)), device[len(folder) :])
            return kind, raw
    match = _PARTITION.fullmatch(device)
    if match is not None:
        return "number", match[1]
    return "path", device


def _names(volume: DiskVolume, layout: PartitionFacts) -> list[tuple[str, str]]:
    names = []
    if volume.filesystem is not None:
        known = volume.filesystem.volume
        names += [("UUID", known.uuid.lower()), ("LABEL", known.label)]
    partition = volume.partition
    if partition is None:
        group, slash, logical = volume.name.partition("/")
        if slash:
            mapped = f"{group.replace('-', '--')}-{logical.replace('-', '--')}"
            names += [("path", f"/dev/mapper/{mapped}"), ("path", f"/dev/{volume.name}")]
        else:
            names += [("path", f"/dev/{disk}") for disk in ("sda", "vda", "hda", "xvda", "nvme0n1")]
        return names
    return [
        *names,
        ("number", str(partition.number)),
        ("PARTLABEL", partition.name),
        ("PARTUUID", _partition_uuid(partition.number, partition.scheme, layout)),
    ]


def _partition_uuid(number: int, scheme: str, layout: PartitionFacts) -> str:
    """Return a partition's UUID as udev writes it: of an MBR made from the disk's signature."""
    if scheme == "mbr":
        return "" if layout.mbr is None else f"{layout.mbr.disk_signature:08x}-{number:02x}"
    for table in (layout.primary_gpt, layout.backup_gpt):
        for entry in () if table is None or table.problem else table.entries:
            if entry.index + 1 == number:
                return str(entry.unique_guid)
    return ""
