"""What /etc/fstab mounts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vhdtool.guest.linux.files import uncommented
from vhdtool.guest.linux.fstab import VIRTUAL_TYPES
from vhdtool.rules.linux.commandline import UNSTABLE
from vhdtool.rules.linux.declare import ERROR, INFO, MARKETPLACE, WARNING, linux_rule
from vhdtool.rules.linux.hits import line_hit, listed, path_hit, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.linux.fstab import Mount
    from vhdtool.guest.linux.guest import LinuxGuest
    from vhdtool.rules.model import Hit

_SYSTEM = ("/", "/boot", "/boot/efi", "/efi", "/usr", "/var")
_RESOURCE_DISK = re.compile(r"/dev/disk/(azure|cloud)/")


def _of_disk(guest: LinuxGuest) -> list[Mount]:
    """Return the whole lines that mount something of a disk."""
    return [
        mount
        for mount in guest.fstab
        if mount.fields >= 3
        and mount.kind not in VIRTUAL_TYPES
        and not mount.is_network
        and not _RESOURCE_DISK.match(mount.device)
    ]


@linux_rule("LNX325", "unstable-device-in-fstab", ERROR)
def unstable_device_in_fstab(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    /etc/fstab names disks by UUID, LABEL or logical volume. A line with nofail or noauto, and one
    for an optical drive or a floppy disk, does not count.

    ## Why it matters
    In Azure the disks may have other names, and with NVMe they have: the machine stops in
    emergency mode.

    ## How to fix
    Replace the name by the UUID that `blkid` prints.

    ## Source
    - Azure, "Prepare Linux for imaging"; Azure, "Linux VM cannot start because of fstab errors"
    """
    for mount in _of_disk(guest):
        if UNSTABLE.match(mount.device) and not mount.may_be_missing:
            yield line_hit(f"{quoted(mount.device)} is mounted, expected a UUID", mount.line)


@linux_rule("LNX326", "fstab-device-missing", ERROR)
def fstab_device_missing(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    What /etc/fstab mounts on /, /boot, /boot/efi, /usr and /var by UUID or label is on the disk.

    ## Why it matters
    The machine stops in emergency mode, or does not start at all.

    ## How to fix
    Write the UUID that `blkid` prints.

    ## Source
    - Azure, "Linux VM cannot start because of fstab errors"
    """
    for mount in _of_disk(guest):
        tag = mount.tag
        wanted = mount.point in _SYSTEM and tag is not None and not mount.may_be_missing
        if wanted and tag is not None and guest.has_device(*tag) is False:
            named = quoted(mount.device)
            message = f"{quoted(mount.point)} is {named}, which the disk does not have"
            yield line_hit(message, mount.line)


@linux_rule("LNX327", "malformed-fstab", ERROR)
def malformed_fstab(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Each line of /etc/fstab has four to six fields, the last two of them numbers, and mounts on an
    absolute path. A line of three fields, which mount takes too, is only a warning.

    ## Why it matters
    The line is not mounted as meant. Where it is the root or the EFI system partition, the machine
    stops in emergency mode.

    ## How to fix
    Correct the line, or put a `#` before it.

    ## Source
    - fstab(5); Azure, "Linux VM cannot start because of fstab errors"
    """
    for mount in guest.fstab:
        fields = mount.line.text.split()
        if mount.fields < 4 or mount.fields > 6:
            severity = WARNING if mount.fields == 3 else None
            yield line_hit(
                f"the line has {mount.fields} fields, expected 4 to 6", mount.line, severity
            )
        elif not all(field.isdigit() for field in fields[4 : mount.fields]):
            yield line_hit("the last two fields are no numbers", mount.line)
        elif not mount.point.startswith("/") and mount.point not in ("none", "swap", "-"):
            message = f"{quoted(mount.point)} is no absolute path to mount on"
            yield line_hit(message, mount.line, WARNING if mount.is_swap else None)


@linux_rule("LNX328", "network-mount-without-nofail", WARNING)
def network_mount_without_nofail(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Mounts over the network have nofail, noauto or an automount.

    ## Why it matters
    The servers of the build's network cannot be reached from Azure: the start waits for them, and
    what needs remote file systems fails.

    ## How to fix
    Add nofail, or remove the line. `_netdev` alone orders the mount after the network, and does not
    allow it to fail.

    ## Source
    - Azure Migrate, "Prepare for agentless migration"; systemd.mount(5)
    """
    for mount in guest.fstab:
        if mount.is_network and mount.fields >= 3 and not mount.may_be_missing:
            yield line_hit(f"{quoted(mount.device)} must be reached to start", mount.line)


@linux_rule("LNX329", "crypttab-or-multipath", WARNING)
def crypttab_or_multipath(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    /etc/crypttab opens nothing without nofail or noauto that asks for a passphrase, and
    multipath.conf does not take every disk for one with several paths.

    ## Why it matters
    The start waits for a passphrase, or for paths that are not there.

    ## How to fix
    Remove the lines.

    ## Source
    - Azure Migrate, "Prepare for agentless migration"; crypttab(5), multipath.conf(5)
    """
    for line in uncommented(guest.files.lines("/etc/crypttab")):
        fields = line.text.split()
        key = fields[2] if len(fields) > 2 else "none"
        options = fields[3].split(",") if len(fields) > 3 else []
        if key in ("none", "-") and not {"nofail", "noauto", "tpm2-device=auto"} & set(options):
            yield line_hit(f"{quoted(fields[0])} asks for a passphrase at start", line)
    if guest.starts("multipathd.service", "multipath-tools") is None:
        return
    for line in uncommented(guest.files.lines("/etc/multipath.conf")):
        if re.match(r"\s*find_multipaths\s+\"?(off|no)\"?\s*$", line.text):
            yield line_hit("every disk is taken for one with several paths", line)


@linux_rule("DSK117", "swap-file", WARNING)
def swap_file(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    /etc/fstab has no swap file on the OS disk.

    ## Why it matters
    The OS disk is remote storage: swapping there is slow, and it is paid for.

    ## How to fix
    Remove the line and the file; let the agent or cloud-init make swap on the resource disk.

    ## Source
    - microsoft/lisa, test `verify_no_swap_on_osdisk`; Azure, "Prepare Linux for imaging"
    """
    for mount in guest.fstab:
        own = mount.device.startswith("/") and not mount.device.startswith(("/dev/", "/mnt/"))
        if mount.is_swap and own:
            yield line_hit(
                f"{quoted(mount.device)} is swap, expected none on the OS disk", mount.line
            )


@linux_rule("DSK118", "several-partitions-below-root", WARNING, MARKETPLACE)
def several_partitions_below_root(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The system is on one partition, /boot and the EFI system partition aside; subvolumes of one
    btrfs count as one.

    ## Why it matters
    The Marketplace recommends it: only the root grows with the disk.

    ## How to fix
    Install to one partition.

    ## Source
    - Azure Marketplace, certification test 42; microsoft/lisa, azure_image_standard.py
    """
    root = next((mount.device for mount in guest.fstab if mount.point == "/"), None)
    apart = [
        mount
        for mount in _of_disk(guest)
        if mount.point.startswith("/")
        and not re.match(r"/$|/boot(/|$)|/efi$|/mnt(/|$)|/media(/|$)", mount.point)
        and mount.device != root
        and "bind" not in mount.options
        and not mount.may_be_missing
    ]
    if apart and root is not None:
        points = listed([mount.point for mount in apart])
        yield line_hit(f"{points} is mounted apart, expected one file system", apart[0].line)


@linux_rule("DSK143", "data-mount-without-nofail", ERROR)
def data_mount_without_nofail(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    What /etc/fstab mounts from other disks than this has nofail, noauto or an automount.

    ## Why it matters
    Where the disk is not attached, the machine stops in emergency mode.

    ## How to fix
    Add nofail, or remove the line.

    ## Source
    - Azure, "Linux VM cannot start because of fstab errors"
    """
    for mount in _of_disk(guest):
        tag = mount.tag
        if mount.point in _SYSTEM or mount.is_swap or tag is None or mount.may_be_missing:
            continue
        if guest.has_device(*tag) is False:
            yield line_hit(
                f"{quoted(mount.device)} on {quoted(mount.point)} is not on this disk, expected "
                "nofail",
                mount.line,
            )


@linux_rule("DSK120", "volume-group-of-azure-images", INFO)
def volume_group_of_azure_images(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The root is in no volume group called rootvg, as in Azure's own images.

    ## Why it matters
    When the disk is attached to another machine for repair, and that has a group of the same name,
    neither can be told from the other.

    ## How to fix
    Nothing needs to be done. `vgrename` makes repairs easier.

    ## Source
    - Azure, "Prepare Linux for imaging", on LVM; "Troubleshoot a Linux VM with LVM" by rescue
    """
    for mount in guest.fstab:
        if mount.point == "/" and re.match(r"/dev/(mapper/rootvg-|rootvg/)", mount.device):
            yield line_hit("the volume group is called rootvg", mount.line)


@linux_rule("DSK131", "root-nearly-full", WARNING)
def root_nearly_full(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The root file system has at least 5 % and 256 MiB free.

    ## Why it matters
    With a full disk services do not start, nor does the agent. It grows only where the disk of the
    machine is larger than the image.

    ## How to fix
    Remove what is not needed, or enlarge the file system.

    ## Source
    - Azure, "Troubleshoot a Linux VM that does not start: disk full". The page names no threshold;
    the 1 GiB of the catalogue would hit minimal images that grow at first boot.
    """
    volume = guest.tree.root.volume
    if volume.free is None or volume.size <= 0:
        return
    if volume.free < max(volume.size // 20, 256 << 20):
        yield path_hit(
            f"{volume.free >> 20} MiB of {volume.size >> 20} MiB are free, expected at least "
            f"{max(volume.size // 20, 256 << 20) >> 20} MiB",
            "/",
        )
