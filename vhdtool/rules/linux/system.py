"""Clock, SELinux, Azure's own tools."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vhdtool.guest.linux.files import settings, uncommented
from vhdtool.guest.linux.release import Family
from vhdtool.rules.linux.declare import ERROR, GEN2, INFO, WARNING, linux_rule
from vhdtool.rules.linux.hits import line_hit, path_hit, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.linux.guest import LinuxGuest
    from vhdtool.rules.model import Hit

_CHRONY_UNITS = ("chronyd.service", "chrony.service", "chronyd", "chrony")
_CHRONY_FILES = ("/etc/chrony/chrony.conf", "/etc/chrony.conf")
_UDEV = ("/etc/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d")


@linux_rule("LNX349", "selinux-settings", ERROR)
def selinux_settings(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    /etc/selinux/config has SELINUX of enforcing, permissive or disabled, and SELINUXTYPE of a
    policy that is installed.

    ## Why it matters
    With a policy that is not there the machine stops while it starts; `SELINUXTYPE=disabled` is the
    usual slip.

    ## How to fix
    `SELINUXTYPE=targeted`, and `SELINUX=permissive` where SELinux is not wanted.

    ## Source
    - Azure, "SELinux troubleshooting"; selinux(8)
    """
    path = "/etc/selinux/config"
    values = settings(guest.files.lines(path))
    mode, kind = values.get("SELINUX"), values.get("SELINUXTYPE")
    if mode is not None and mode.value.lower() not in ("enforcing", "permissive", "disabled"):
        yield line_hit(
            f"SELINUX is {quoted(mode.value)}, expected enforcing, permissive or disabled",
            mode.line,
        )
    if kind is None or mode is None or mode.value.lower() == "disabled":
        return
    if not guest.files.exists(f"/etc/selinux/{kind.value}"):
        yield line_hit(f"there is no policy {quoted(kind.value)}", kind.line)


@linux_rule("LNX371", "clock-not-from-host", WARNING)
def clock_not_from_host(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Where chrony starts, it takes the time from the host's clock: `refclock PHC /dev/ptp_hyperv`, or
    /dev/ptp0.

    ## Why it matters
    The host's clock is there without any network, and after a machine has been paused.

    ## How to fix
    Add `refclock PHC /dev/ptp_hyperv poll 3 dpoll -2 offset 0 stratum 2` to chrony.conf.

    ## Source
    - Azure, "Time sync for Linux VMs"
    """
    if guest.starts(*_CHRONY_UNITS) is None:
        return
    main = guest.files.first(_CHRONY_FILES)
    if main is None:
        return
    paths = [main, *guest.files.paths("/etc/chrony/conf.d", "*.conf"),
             *guest.files.paths("/etc/chrony.d", "*.conf")]  # fmt: skip
    for path in paths:
        for line in uncommented(guest.files.lines(path), "#%!;"):
            if re.match(r"\s*refclock\s+PHC\s+/dev/ptp", line.text, re.IGNORECASE):
                return
    yield path_hit("chrony does not use the host's clock, expected refclock PHC", main)


@linux_rule("LNX372", "two-clocks", INFO)
def two_clocks(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    systemd-timesyncd does not start where chrony does.

    ## Why it matters
    Both set the clock.

    ## How to fix
    `systemctl disable systemd-timesyncd`

    ## Source
    - Azure, "Time sync for Linux VMs". Since units of both packages conflict by
    `Conflicts=`, only one of them runs in practice.
    """
    timesyncd = guest.starts("systemd-timesyncd.service")
    if timesyncd is None or timesyncd.path is None or guest.starts(*_CHRONY_UNITS) is None:
        return
    yield path_hit("systemd-timesyncd starts beside chrony", timesyncd.enabled_by or timesyncd.path)


@linux_rule("LNX373", "no-kvp-daemon", WARNING)
def no_kvp_daemon(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The daemon that exchanges key-value pairs with the host is installed. Where the distribution has
    it in a package of its own that Azure's pages do not ask for (Debian, Alpine, Arch, Flatcar),
    this is only worth a line.

    ## Why it matters
    The host learns addresses and the state of provisioning by it.

    ## How to fix
    Install hyperv-daemons, linux-cloud-tools-azure, hyper-v or hvtools.

    ## Source
    - microsoft/lisa, azure_image_standard.py; Azure, "Prepare Linux for imaging"
    """
    programs = (
        "/usr/sbin/hv_kvp_daemon",
        "/usr/sbin/hypervkvpd",
        "/usr/lib/hyper-v/bin/hv_kvp_daemon",
        "/usr/bin/hv_kvp_daemon",
        "/usr/lib/linux-tools/hv_kvp_daemon",
    )
    if guest.is_bsd or guest.files.first(programs) is not None:
        return
    if guest.files.glob("/usr/lib/linux-tools/*/hv_kvp_daemon"):
        return
    usual = guest.is_of(Family.REDHAT, Family.SUSE, Family.AZURE_LINUX)
    ubuntu = guest.release is not None and guest.release.id == "ubuntu"
    severity = None if usual or ubuntu else INFO
    yield path_hit("no daemon exchanges key-value pairs with the host", programs[0], severity)


@linux_rule("LNX377", "nvme-not-supported", INFO, GEN2)
def nvme_not_supported(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The distribution is one that Azure supports with remote NVMe.

    ## Why it matters
    Machine sizes from generation 6 have their disks on NVMe only.

    ## How to fix
    Use a later release, or an older size.

    ## Source
    - Azure, "Supported OS images for remote NVMe"
    """
    release = guest.release
    if release is None:
        return
    least = _NVME.get(release.id)
    if release.id.startswith("opensuse"):
        yield path_hit("openSUSE is not among the systems for remote NVMe", release.path)
    elif least is not None and release.before(*least):
        wanted = ".".join(str(number) for number in least)
        message = f"the release is {quoted(release.version)}, expected {wanted} or later for NVMe"
        yield path_hit(message, release.path)


_NVME = {
    "ubuntu": (18, 4),
    "debian": (11,),
    "rhel": (7, 9),
    "centos": (7, 9),
    "ol": (7, 9),
    "almalinux": (8,),
    "rocky": (8, 10),
    "sles": (15, 4),
    "sles_sap": (15, 3),
    "azurelinux": (3,),
    "mariner": (3,),
}


@linux_rule("LNX378", "no-azure-vm-utils", INFO)
def no_azure_vm_utils(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Where the distribution has azure-vm-utils (SLES 15 SP5, RHEL 9.6, Ubuntu 25.04, Fedora 42 and
    later), it is installed.

    ## Why it matters
    With it disks keep stable links in /dev/disk/azure, on NVMe too.

    ## How to fix
    Install azure-vm-utils.

    ## Source
    - Azure, "NVMe and Linux"; Azure/azure-vm-utils
    """
    release = guest.release
    least = {"sles": (15, 5), "rhel": (9, 6), "ubuntu": (25, 4), "fedora": (42,)}
    wanted = None if release is None else least.get(release.id)
    if release is None or wanted is None or not release.numbers or release.before(*wanted):
        return
    files = guest.files
    if not any(
        files.exists(f"{place}/azure-nvme-id") for place in ("/usr/sbin", "/usr/bin", "/sbin")
    ):
        yield path_hit("azure-vm-utils is not installed", "/usr/sbin/azure-nvme-id")


@linux_rule("LNX383", "no-azure-disk-links", INFO)
def no_azure_disk_links(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    udev has rules for links to Azure's disks: the agent's, cloud-init's or azure-vm-utils'.

    ## Why it matters
    Without them /dev/disk/azure and /dev/disk/cloud do not exist, and the resource disk can only be
    guessed.

    ## How to fix
    Install the distribution's agent or cloud-init, which bring them.

    ## Source
    - Azure/WALinuxAgent, config/66-azure-storage.rules; canonical/cloud-init, udev/; azure-vm-utils
    """
    if guest.is_bsd or guest.is_of(Family.FLATCAR):
        return
    names = ("66-azure-storage.rules", "66-azure-ephemeral.rules", "80-azure-disk.rules")
    if guest.files.first(f"{folder}/{name}" for folder in _UDEV for name in names) is None:
        yield path_hit("udev makes no links for Azure's disks", f"{_UDEV[1]}/{names[0]}")
