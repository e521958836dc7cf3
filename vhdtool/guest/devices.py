"""The volumes of a disk by the names that a Linux guest has for them.

Sources: fstab(5), mount(8); udev's rules for /dev/disk; lvm(8) on doubled hyphens in mapper names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vhdtool.disk.facts import Signature
from vhdtool.guest.linux.fstab import device_tag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vhdtool.disk.facts import Partition, PartitionFacts
    from vhdtool.guest.linux.guest import Device
    from vhdtool.guest.volumes import DiskVolume

# The first disk; another letter or number is another disk.
_DISK = r"/dev/(?:(?:s|v|h|xv)da|(?:nvme0n1|mmcblk0)(?=p|$)p?)"
_PARTITION = re.compile(rf"{_DISK}([1-9][0-9]*)")
_WHOLE = re.compile(_DISK)


@dataclass(frozen=True, slots=True)
class NamedVolume:
    """A volume and what a Linux guest can call it."""

    volume: DiskVolume
    device: Device

    def answers(self, name: str) -> bool:
        """Whether a first field of fstab means this volume."""
        tag = device_tag(name)
        if tag is not None:
            return self.device.answers(*tag)
        if name in self.device.mapped:
            return True
        partition = self.volume.partition
        if partition is None:
            return not self.device.mapped and _WHOLE.fullmatch(name) is not None
        match = _PARTITION.fullmatch(name)
        return match is not None and int(match[1]) == partition.number


def name_volumes(volumes: Iterable[DiskVolume], layout: PartitionFacts) -> list[NamedVolume]:
    """Find out what a Linux guest can call each volume; their file systems are opened for it."""
    return [NamedVolume(volume, _device(volume, layout)) for volume in volumes]


def find_volume(name: str, volumes: Iterable[NamedVolume]) -> DiskVolume | None:
    """Return the volume that a first field of fstab means; None where it is not on this disk."""
    return next((one.volume for one in volumes if one.answers(name)), None)


def _device(volume: DiskVolume, layout: PartitionFacts) -> Device:
    # The model of Linux guests is large, and loaded only where there is one.
    from vhdtool.guest.linux.guest import Device

    partition, filesystem = volume.partition, volume.filesystem
    known = None if filesystem is None else filesystem.volume
    kind = "swap" if volume.signature is Signature.SWAP else str(volume.signature or "")
    return Device(
        kind=kind if known is None else known.kind,
        uuid="" if known is None else known.uuid,
        label="" if known is None else known.label,
        partition_uuid="" if partition is None else _partition_uuid(partition, layout),
        partition_label="" if partition is None else partition.name,
        mapped=_mapped(volume),
        size=volume.size,
        free=None if known is None else known.free,
    )


def _mapped(volume: DiskVolume) -> tuple[str, ...]:
    group, slash, logical = volume.name.partition("/")
    if not slash:
        return ()
    mapped = f"{group.replace('-', '--')}-{logical.replace('-', '--')}"
    return f"/dev/{volume.name}", f"/dev/mapper/{mapped}"


def _partition_uuid(partition: Partition, layout: PartitionFacts) -> str:
    """Return a partition's UUID as udev writes it: of an MBR made from the disk's signature."""
    if partition.scheme == "mbr":
        signature = None if layout.mbr is None else layout.mbr.disk_signature
        return f"{signature:08x}-{partition.number:02x}" if signature else ""
    for table in (layout.primary_gpt, layout.backup_gpt):
        for entry in () if table is None or table.problem else table.entries:
            if entry.index + 1 == partition.number:
                return str(entry.unique_guid)
    return ""
