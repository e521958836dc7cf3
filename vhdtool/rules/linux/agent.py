"""The Azure Linux agent: installed, started, set up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.guest.linux.agent import PACKAGES, UNITS, config_paths
from vhdtool.guest.linux.packages import compare_versions
from vhdtool.guest.linux.release import Family
from vhdtool.rules.linux.declare import ERROR, GENERALIZED, INFO, WARNING, linux_rule
from vhdtool.rules.linux.hits import line_hit, path_hit, quoted
from vhdtool.rules.model import Hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.linux.guest import LinuxGuest
    from vhdtool.rules.model import Severity

LEAST_VERSION = "2.2.53.1"
_SINCE_CLOUD_INIT_SETTING = "2.2.45"
_RESOURCE_DISK = ("ephemeral0", "/dev/disk/cloud/azure_resource")


def agent_version(guest: LinuxGuest) -> str | None:
    """Return the agent's version by its source, else by its package without the release."""
    if guest.agent_version is not None:
        return guest.agent_version.value
    if guest.packages is None:
        return None
    version = guest.packages.version(*PACKAGES)
    if version is None:
        return None
    return version.rpartition(":")[2].split("-", 1)[0].split("+", 1)[0]


@linux_rule("LNX350", "no-provisioning-agent", ERROR, GENERALIZED)
def no_provisioning_agent(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    waagent or cloud-init is installed.

    ## Why it matters
    Without either nobody sets up a new machine and tells Azure that it is ready: the deployment
    times out. An image with a unit of its own that reports ready is the exception.

    ## How to fix
    Install the distribution's package of the agent (walinuxagent, WALinuxAgent,
    python-azure-agent) and cloud-init.

    ## Source
    - Azure, "Prepare Linux for imaging" and "Creating generalized images without a provisioning
    agent"
    """
    if guest.agent_program is None and guest.cloud_init_program is None:
        yield Hit("neither waagent nor cloud-init is installed, expected one of them")


@linux_rule("LNX351", "agent-not-started", ERROR)
def agent_not_started(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Where the agent is installed, its service starts with the machine.

    ## Why it matters
    Azure hears nothing from the machine, and no extension runs. Where cloud-init provisions, the
    deployment itself succeeds.

    ## How to fix
    `systemctl enable walinuxagent.service` on Debian and Ubuntu, `systemctl enable waagent.service`
    elsewhere.

    ## Source
    - Azure, "Prepare Linux for imaging"; Azure/WALinuxAgent, init/
    """
    if guest.agent_program is None or guest.is_bsd or guest.is_of(Family.FLATCAR):
        return
    names = (*UNITS, "waagent", "walinuxagent")
    if guest.starts(*names) is not None:
        return
    for name in names:
        unit = guest.services.unit(name)
        if unit.masked_by is not None:
            yield path_hit(f"{name} is masked, expected it to start", unit.masked_by)
            return
        if unit.path is not None:
            yield path_hit(f"{name} does not start with the machine", unit.path)
            return
    yield path_hit("the agent has no service that starts it", guest.agent_program)


@linux_rule("LNX352", "no-agent-settings", ERROR)
def no_agent_settings(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Where the agent is installed, it has a waagent.conf.

    ## Why it matters
    The agent does not start without the file.

    ## How to fix
    Restore the file from the package: /etc/waagent.conf, on FreeBSD /usr/local/etc/waagent.conf.

    ## Source
    - Azure/WALinuxAgent, azurelinuxagent/common/conf.py, load_conf_from_file
    """
    if guest.agent_program is not None and guest.agent_config is None:
        place = config_paths(guest.release)[0]
        yield path_hit("the agent is installed, and has no settings", place)


@linux_rule("LNX353", "wrong-provisioner", ERROR)
def wrong_provisioner(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Provisioning.Agent is auto, waagent, cloud-init or disabled, and what it names is installed.

    ## Why it matters
    With `cloud-init` and no cloud-init nobody provisions the machine. With `waagent` the agent
    refuses to go on where cloud-init is enabled.

    ## How to fix
    Set `Provisioning.Agent=auto`: cloud-init where it is enabled, else the agent.

    ## Source
    - Azure/WALinuxAgent, azurelinuxagent/pa/provision/factory.py and default.py
    - Any combination that leaves exactly one provisioner is taken, since Azure's pages differ.
    """
    config = guest.agent_config
    setting = None if config is None else config.get("Provisioning.Agent")
    if setting is None or guest.agent_program is None:
        return
    value = setting.value.lower()
    if value not in ("auto", "waagent", "cloud-init", "disabled"):
        yield line_hit(
            f"Provisioning.Agent is {quoted(setting.value)}, "
            "expected auto, waagent, cloud-init or disabled",
            setting.line,
        )
    elif value == "cloud-init" and guest.cloud_init_program is None:
        yield line_hit("cloud-init is to provision, and is not installed", setting.line)
    elif value == "waagent" and guest.starts("cloud-init.service", "cloud-init-network.service"):
        yield line_hit("waagent is to provision, and cloud-init runs too", setting.line)


@linux_rule("LNX354", "old-provisioning-keys", WARNING)
def old_provisioning_keys(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Provisioning.Enabled and Provisioning.UseCloudInit are not used with an agent of 2.2.45 or
    later where they say something else than Provisioning.Agent.

    ## Why it matters
    The new key decides; the old ones mislead whoever reads the file.

    ## How to fix
    Keep Provisioning.Agent only.

    ## Source
    - Azure/WALinuxAgent, README.md: both keys are deprecated
    - Narrower than the catalogue: Azure Linux and others ship `Enabled=n`, which agrees with
    cloud-init.
    """
    config = guest.agent_config
    agent = None if config is None else config.get("Provisioning.Agent")
    if config is None or agent is None:
        return
    enabled = config.get("Provisioning.Enabled")
    by_cloud_init = config.get("Provisioning.UseCloudInit")
    wanted = agent.value.lower()
    if enabled is not None and enabled.value.lower() == "n" and wanted == "waagent":
        yield line_hit("Provisioning.Enabled is n, and Provisioning.Agent is waagent", enabled.line)
    if by_cloud_init is not None and by_cloud_init.value.lower() == "y" and wanted == "waagent":
        yield line_hit(
            "Provisioning.UseCloudInit is y, and Provisioning.Agent is waagent", by_cloud_init.line
        )


@linux_rule("LNX355", "two-makers-of-resource-disk", WARNING)
def two_makers_of_resource_disk(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Where cloud-init is told to set up the resource disk, the agent is not.

    ## Why it matters
    Both format and mount it, and whoever comes second undoes the first.

    ## How to fix
    `ResourceDisk.Format=n` and `ResourceDisk.EnableSwap=n` in waagent.conf.

    ## Source
    - Azure, "Prepare Linux for imaging"
    - Narrower than the catalogue: Debian ships Format=y with a cloud-init that is told nothing.
    """
    config = guest.agent_config
    if config is None or guest.agent_program is None or guest.cloud_config is None:
        return
    told = _names_resource_disk(guest)
    if told is None:
        return
    for key in ("ResourceDisk.Format", "ResourceDisk.EnableSwap"):
        setting = config.get(key)
        if setting is not None and setting.value.lower() == "y":
            yield line_hit(f"{key} is y, though {told} sets up the same disk", setting.line)


def _names_resource_disk(guest: LinuxGuest) -> str | None:
    config = guest.cloud_config
    if config is None:
        return None
    setup, mounts = config.get("disk_setup"), config.get("mounts")
    if setup is not None and any(key in _RESOURCE_DISK for key, _ in setup.pairs()):
        return f"{setup.path} (disk_setup)"
    if mounts is not None and isinstance(mounts.value, list):
        for mount in mounts.value:
            if mount.texts and mount.texts[0].startswith(_RESOURCE_DISK):
                return f"{mounts.path} (mounts)"
    return None


@linux_rule("LNX356", "extensions-off", WARNING)
def extensions_off(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Extensions.Enabled is not n.

    ## Why it matters
    No extension runs: no password reset, no monitoring, no backup with application consistency.

    ## How to fix
    `Extensions.Enabled=y` in waagent.conf.

    ## Source
    - Azure/WALinuxAgent, README.md
    """
    config = guest.agent_config
    setting = None if config is None else config.get("Extensions.Enabled")
    if setting is not None and setting.value.lower() != "y":
        yield line_hit(f"Extensions.Enabled is {quoted(setting.value)}, expected y", setting.line)


@linux_rule("LNX357", "agent-updates-off", WARNING)
def agent_updates_off(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    AutoUpdate.Enabled and AutoUpdate.UpdateToLatestVersion are not n.

    ## Why it matters
    The agent stays at the version of the image. Certification wants updates on.

    ## How to fix
    `AutoUpdate.Enabled=y` in waagent.conf. Debian ships n.

    ## Source
    - Azure Marketplace, certification test 51; Azure, "Azure Linux agent overview"
    """
    yield from updates_off(guest)


def updates_off(guest: LinuxGuest, severity: Severity | None = None) -> Iterator[Hit]:
    """Hit the settings that keep the agent from updating itself."""
    config = guest.agent_config
    for key in ("AutoUpdate.Enabled", "AutoUpdate.UpdateToLatestVersion"):
        setting = None if config is None else config.get(key)
        if setting is not None and setting.value.lower() == "n":
            yield line_hit(f"{key} is n, expected y", setting.line, severity)


@linux_rule("LNX358", "root-device-timeout", INFO)
def root_device_timeout(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    OS.RootDeviceScsiTimeout, where it is set, is 300.

    ## Why it matters
    When Azure moves storage, requests may take minutes. With a shorter time-out the root file
    system becomes read-only.

    ## How to fix
    `OS.RootDeviceScsiTimeout=300` in waagent.conf.

    ## Source
    - Azure/WALinuxAgent, README.md and config/waagent.conf
    """
    config = guest.agent_config
    setting = None if config is None else config.get("OS.RootDeviceScsiTimeout")
    if setting is not None and setting.value not in ("300", "None"):
        yield line_hit(
            f"OS.RootDeviceScsiTimeout is {quoted(setting.value)}, expected 300 seconds",
            setting.line,
        )


@linux_rule("LNX359", "old-agent", ERROR)
def old_agent(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The agent is of version 2.2.53.1 or later.

    ## Why it matters
    Azure supports no older one: extensions may fail, and so may the deployment.

    ## How to fix
    Update the distribution's package.

    ## Source
    - Azure, "Azure Linux agent overview": the least version that is supported
    """
    version = agent_version(guest)
    if version is None or guest.agent_program is None:
        return
    if compare_versions(version, LEAST_VERSION) < 0:
        message = f"the agent is of version {quoted(version)}, expected {LEAST_VERSION} or later"
        if guest.agent_version is not None:
            yield line_hit(message, guest.agent_version.line)
        else:
            yield path_hit(message, guest.agent_program)


@linux_rule("LNX360", "agent-needs-missing", WARNING)
def agent_needs_missing(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Where the agent is installed, so is what it calls: Python, chpasswd, sudo, sfdisk or parted, ip
    or ifconfig, mkfs.

    ## Why it matters
    The agent cannot set passwords or rights, prepare the resource disk, or start at all.

    ## How to fix
    Install the packages that are missing.

    ## Source
    - Azure, "Azure Linux agent overview", requirements
    """
    if guest.agent_program is None or guest.is_bsd or guest.is_of(Family.FLATCAR):
        return
    needs = {
        "Python": ("python3", "python", "python2", "platform-python"),
        "chpasswd": ("chpasswd",),
        "sudo": ("sudo",),
        "sfdisk or parted": ("sfdisk", "parted"),
        "ip or ifconfig": ("ip", "ifconfig"),
        "mkfs": ("mkfs", "mkfs.ext4", "mkfs.xfs"),
    }
    folders = ("/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/libexec", "/usr/local/bin")
    for what, names in needs.items():
        if not any(guest.files.exists(f"{folder}/{name}") for folder in folders for name in names):
            if what == "Python" and guest.files.glob("/usr/bin/python[23]*"):
                continue
            yield Hit(f"the agent needs {what}, which is not installed")


@linux_rule("LNX396", "odd-resource-disk-settings", INFO)
def odd_resource_disk_settings(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Where the agent sets up the resource disk, the settings do something: swap has a size, and the
    file system is one that the system makes.

    ## Why it matters
    Swap of 0 MB is none, and a file system that cannot be made leaves the disk unused.

    ## How to fix
    Set ResourceDisk.SwapSizeMB, and ResourceDisk.Filesystem to ext4 or xfs (ufs on FreeBSD).

    ## Source
    - Azure/WALinuxAgent, README.md and azurelinuxagent/daemon/resourcedisk
    """
    config = guest.agent_config
    if config is None or not config.is_on("ResourceDisk.Format", default=False):
        return
    swap, size = config.get("ResourceDisk.EnableSwap"), config.get("ResourceDisk.SwapSizeMB")
    if swap is not None and swap.value.lower() == "y" and (size is None or size.value in ("", "0")):
        yield line_hit("swap is on with a size of 0 MB, expected a size", swap.line)
    kind = config.get("ResourceDisk.Filesystem")
    known = ("ufs", "ufs2", "ffs") if guest.is_bsd else ("ext2", "ext3", "ext4", "xfs", "btrfs")
    if kind is not None and kind.value.lower() not in known:
        yield line_hit(
            f"the file system is {quoted(kind.value)}, expected one of {', '.join(known)}",
            kind.line,
        )


@linux_rule("LNX397", "fips-mismatch", INFO)
def fips_mismatch(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    OS.EnableFIPS in waagent.conf agrees with `fips=1` on the kernel's command line.

    ## Why it matters
    With FIPS on in the system and not in the agent, the agent uses OpenSSL in ways that the system
    forbids.

    ## How to fix
    Set OS.EnableFIPS=y where the kernel has fips=1, and n elsewhere.

    ## Source
    - Azure/WALinuxAgent, README.md, OS.EnableFIPS
    """
    config, parameters = guest.agent_config, guest.command_line
    setting = None if config is None else config.get("OS.EnableFIPS")
    if setting is None or parameters is None:
        return
    agent, kernel = setting.value.lower() == "y", parameters.last("fips") == "1"
    if agent != kernel:
        said = "has" if kernel else "has not"
        yield line_hit(
            f"OS.EnableFIPS is {quoted(setting.value)}, and the kernel {said} fips=1", setting.line
        )
