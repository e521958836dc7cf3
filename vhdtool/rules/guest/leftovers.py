"""What a guest should not carry over into Azure: addresses, tools, secrets of where it was made."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vhdtool.guest.linux.agent import extension_folders
from vhdtool.guest.linux.files import uncommented
from vhdtool.guest.linux.verdict import NEUTRAL_NAMES
from vhdtool.rules.guest.declare import (
    GENERALIZED,
    INFO,
    MARKETPLACE,
    WARNING,
    guest_rule,
)
from vhdtool.rules.linux.hits import filled, line_hit, listed, path_hit, quoted
from vhdtool.rules.windows import generic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.guest import Guest
    from vhdtool.guest.linux.guest import LinuxGuest
    from vhdtool.rules.model import Hit

_RESOURCE_DISK = ("/mnt/resource", "/mnt", "/d")
_README = "DATALOSS_WARNING_README.txt"
_TOOLS = {
    "open-vm-tools": ("vmtoolsd.service", "open-vm-tools.service"),
    "VMware Tools": ("vmware-tools.service",),
    "VirtualBox guest additions": ("vboxadd.service", "vboxadd-service.service",
                                   "virtualbox-guest-utils.service", "vboxservice.service"),
    "the QEMU guest agent": ("qemu-guest-agent.service",),
    "Xen guest utilities": ("xe-linux-distribution.service", "xe-daemon.service"),
    "Parallels Tools": ("prltoolsd.service",),
    "the SPICE agent": ("spice-vdagentd.service",),
}  # fmt: skip
# The loopback, multicast, broadcast, and Azure's own address.
_HARMLESS = re.compile(r"127\.|::1$|f[ef]\w\w::|255\.255\.255\.255$|0\.0\.0\.0$|168\.63\.129\.16$")
_SECRETS = (
    ".aws/credentials",
    ".azure/accessTokens.json",
    ".azure/msal_token_cache.json",
    ".azure/msal_token_cache.bin",
    ".azure/servicePrincipals.json",
    ".config/gcloud/credentials.db",
    ".docker/config.json",
    ".git-credentials",
    ".kube/config",
    ".netrc",
    ".vault-token",
)


@guest_rule("GEN211", "swap-on-resource-disk", WARNING)
def swap_on_resource_disk(guest: Guest) -> Iterator[Hit]:
    """
    ## What it checks
    /etc/fstab of a Linux has no swap on the resource disk.

    ## Why it matters
    The disk comes empty to every new machine, and again after each move: the file is not there.

    ## How to fix
    Remove the line; let the agent (ResourceDisk.EnableSwap) or cloud-init make the swap.

    ## Source
    - Azure, "Prepare Linux for imaging", on swap
    """
    if guest.linux is None:
        return
    for mount in guest.linux.fstab:
        on_it = re.match(r"/mnt/|/dev/disk/(azure|cloud)/", mount.device)
        if mount.is_swap and on_it and not mount.may_be_missing:
            yield line_hit(f"{quoted(mount.device)} on the resource disk is swap", mount.line)


@guest_rule("GEN212", "resource-disk-contents-left", WARNING, GENERALIZED)
def resource_disk_contents_left(guest: Guest) -> Iterator[Hit]:
    """
    ## What it checks
    The OS disk has no copy of what Azure or the agent puts on the resource disk:
    DATALOSS_WARNING_README.txt.

    ## Why it matters
    It was written while the resource disk was not mounted, or copied: the files take room on the OS
    disk, hidden below the mount.

    ## How to fix
    Delete what is in the folder.

    ## Source
    - Azure/WALinuxAgent, azurelinuxagent/daemon/resourcedisk/default.py
    """
    if guest.linux is None:
        return
    for folder in _RESOURCE_DISK:
        path = f"{folder}/{_README}"
        if guest.linux.files.exists(path):
            yield path_hit("the resource disk's file is on the OS disk", path)


@guest_rule("GEN213", "time-zone-not-utc", INFO)
def time_zone_not_utc(guest: Guest) -> Iterator[Hit]:
    """
    ## What it checks
    The time zone of a Linux or Windows is UTC.

    ## Why it matters
    Azure's logs are in UTC. Nothing breaks otherwise.

    ## How to fix
    `timedatectl set-timezone UTC`

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure" asks for UTC; for Linux it is habit
    """
    if guest.windows is not None:
        yield from generic.time_zone_not_utc(guest.windows)
    if guest.linux is None:
        return
    target = guest.linux.tree.read_link("/etc/localtime")
    if target is None:
        return
    zone = target.partition("zoneinfo/")[2].removeprefix("posix/")
    if zone and not re.fullmatch(r"(Etc/)?(UTC|UCT|Zulu|Universal|GMT[+-]?0?|Greenwich)", zone):
        yield path_hit(f"the time zone is {quoted(zone)}, expected UTC", "/etc/localtime")


@guest_rule("GEN214", "other-hypervisors-tools", WARNING)
def other_hypervisors_tools(guest: Guest) -> Iterator[Hit]:
    """
    ## What it checks
    No tools of another hypervisor start with a Linux or Windows. A service of Linux that starts
    only on that hypervisor by its own condition is left out.

    ## Why it matters
    They look for a hypervisor that is not there, and some change disks, clock or network.

    ## How to fix
    Remove the package.

    ## Source
    - Azure, "Prepare for upload" and Azure Migrate; ConditionVirtualization of systemd.unit(5)
    """
    if guest.windows is not None:
        yield from generic.foreign_tools(guest.windows)
    linux = guest.linux
    if linux is None:
        return
    for what, units in _TOOLS.items():
        started = linux.starts(*units)
        if started is None or started.path is None or started.enabled_by is None:
            continue
        if not _conditional(linux, started.path):
            yield path_hit(
                f"{what} starts with the machine, expected it removed", started.enabled_by
            )


def _conditional(linux: LinuxGuest, path: str) -> bool:
    """Whether a unit starts on its own hypervisor, or with its own device, only."""
    own = re.compile(
        r"Condition(Virtualization=(?!!)|PathExists=/dev/)|BindsTo=dev-|ConditionACPower"
    )
    return any(own.match(line.text.strip()) for line in linux.files.lines(path))


@guest_rule("GEN215", "extensions-left", WARNING, GENERALIZED)
def extensions_left(guest: Guest) -> Iterator[Hit]:
    """
    ## What it checks
    A Linux has no extensions of Azure in /var/lib/waagent.

    ## Why it matters
    They are not part of the new machine's model: they run on, or fail, unseen by it.

    ## How to fix
    Remove the extensions in Azure before the machine is captured.

    ## Source
    - Azure, "Generalize a virtual machine"
    """
    if guest.linux is None:
        return
    left = extension_folders(guest.linux.files)
    if left:
        yield path_hit(f"extensions are left: {listed(left)}", left[0])


@guest_rule("GEN216", "secrets-left", WARNING, GENERALIZED, MARKETPLACE)
def secrets_left(guest: Guest) -> Iterator[Hit]:
    """
    ## What it checks
    No home of a Linux, and no profile of Windows, has credentials of clouds, registries or
    repositories. Private keys of SSH on Linux are LGN321's, the host's Kerberos keys LGN340's.

    ## Why it matters
    Whoever has the image has them.

    ## How to fix
    Delete the files, and revoke what was in them.

    ## Source
    - Azure Marketplace, "Security recommendations"
    """
    if guest.windows is not None:
        yield from generic.secrets_left(guest.windows)
    if guest.linux is None:
        return
    files = guest.linux.files
    for home in guest.linux.homes:
        for path in filled(files, [f"{home}/{name}" for name in _SECRETS]):
            if path.endswith(".docker/config.json") and '"auth"' not in (files.text(path) or ""):
                continue
            yield path_hit("credentials are left", path)
        for path in files.paths(home, "*.pfx"):
            yield path_hit("a certificate with its key is left", path)


@guest_rule("GEN217", "host-name-left", INFO, GENERALIZED)
def host_name_left(guest: Guest) -> Iterator[Hit]:
    """
    ## What it checks
    The name of a Linux host is not written into further places than /etc/hostname, which is
    LGN324's: NetworkManager's and cloud-init's settings.

    ## Why it matters
    New machines may keep the name.

    ## How to fix
    Remove `hostname` and `fqdn` from cloud-init's settings, and `preserve_hostname: true`.

    ## Source
    - canonical/cloud-init, cloudinit/config/cc_set_hostname.py
    """
    config = None if guest.linux is None else guest.linux.cloud_config
    if config is None:
        return
    for key in ("hostname", "fqdn"):
        item = config.get(key)
        name = item.value if item is not None else None
        if item is not None and isinstance(name, str) and name.lower() not in NEUTRAL_NAMES:
            yield path_hit(f"cloud-init is told the host's name: {quoted(name)}", item.path)
    preserve = config.get("preserve_hostname")
    if preserve is not None and preserve.value is True:
        yield path_hit("cloud-init is told to keep the host's name", preserve.path)


@guest_rule("GEN218", "hosts-entries-left", WARNING, GENERALIZED, MARKETPLACE)
def hosts_entries_left(guest: Guest) -> Iterator[Hit]:
    r"""
    ## What it checks
    /etc/hosts of a Linux, and drivers\etc\hosts of Windows, has no addresses but those of the
    loopback, multicast and Azure's own. The host's own name at 127.0.1.1 is only worth a line.

    ## Why it matters
    Names lead to addresses of the network that the image was made in.

    ## How to fix
    Remove the lines.

    ## Source
    - Azure Marketplace, "Security recommendations"
    """
    if guest.windows is not None:
        yield from generic.hosts_entries_left(guest.windows)
    if guest.linux is None:
        return
    for line in uncommented(guest.linux.files.lines("/etc/hosts")):
        words = line.text.split()
        if words[0] == "127.0.1.1":
            if not all(_is_own(guest.linux, name) for name in words[1:]):
                yield line_hit(f"the host is named {listed(words[1:])} here", line, INFO)
        elif not _HARMLESS.match(words[0]):
            yield line_hit(f"{quoted(words[0])} is given names, expected the loopback only", line)


def _is_own(linux: LinuxGuest, name: str) -> bool:
    known = "" if linux.release is None else linux.release.id
    return name.lower().split(".")[0] in ("localhost", known)
