"""What /etc/fstab mounts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vhdtool.guest.linux.files import uncommented

if TYPE_CHECKING:
    from vhdtool.guest.linux.files import Files, Line

NETWORK_TYPES = frozenset(("nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "glusterfs", "9p"))
# Kinds that need no device.
VIRTUAL_TYPES = frozenset(
    (
        "proc", "sysfs", "tmpfs", "devpts", "devtmpfs", "ramfs", "debugfs", "tracefs", "securityfs",
        "cgroup", "cgroup2", "configfs", "hugetlbfs", "mqueue", "binfmt_misc", "efivarfs",
        "fusectl", "overlay", "none", "bpf", "usbfs", "fdescfs", "procfs", "linprocfs", "nfsd",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of fstab; `fields` is how many it has."""

    device: str
    point: str
    kind: str
    options: tuple[str, ...]
    fields: int
    line: Line

    @property
    def is_swap(self) -> bool:
        """Whether it is swap space."""
        return self.kind == "swap"

    @property
    def may_be_missing(self) -> bool:
        """Whether the machine starts without the device."""
        # systemd waits for neither, and does not fail local-fs.target over them
        return any(
            option in ("nofail", "noauto") or option.startswith("x-systemd.automount")
            for option in self.options
        )

    @property
    def is_network(self) -> bool:
        """Whether the device is another machine."""
        return self.kind in NETWORK_TYPES or "_netdev" in self.options

    @property
    def by_cloud_init(self) -> bool:
        """Whether cloud-init wrote the line."""
        return "comment=cloudconfig" in self.options

    @property
    def tag(self) -> tuple[str, str] | None:
        """The identity that stands for a device: `UUID`, `LABEL`, `PARTUUID`, `PARTLABEL`."""
        return device_tag(self.device)


def device_tag(device: str) -> tuple[str, str] | None:
    """Split `UUID=...` or `/dev/disk/by-uuid/...`; None for other names of devices."""
    name, equals, value = device.partition("=")
    if equals and name.upper() in ("UUID", "LABEL", "PARTUUID", "PARTLABEL"):
        return name.upper(), _unescaped(value.strip("\"'"))
    found = re.fullmatch(r"/dev/disk/by-(uuid|label|partuuid|partlabel)/(.+)", device)
    return None if found is None else (found.group(1).upper(), found.group(2))


def read_fstab(files: Files) -> list[Mount]:
    """Return the lines that mount something; malformed ones have fewer than 4 fields."""
    mounts = []
    for line in uncommented(files.lines("/etc/fstab")):
        fields = line.text.split()
        # as in the shell, a comment may follow
        for index, one in enumerate(fields):
            if index >= 4 and one.startswith("#"):
                fields = fields[:index]
                break
        device, point, kind, options = (*fields[:4], *("",) * (4 - len(fields[:4])))
        mounts.append(
            Mount(
                _unescaped(device),
                _unescaped(point),
                kind,
                tuple(options.split(",")) if options else (),
                len(fields),
                line,
            )
        )
    return mounts


def _unescaped(field: str) -> str:
    """Decode what fstab writes for blanks: a backslash and three octal digits."""
    return re.sub(r"\\([0-3][0-7]{2})", lambda found: chr(int(found.group(1), 8)), field)
