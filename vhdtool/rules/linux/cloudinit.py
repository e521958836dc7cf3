"""cloud-init: whether it runs, asks Azure, and sets up what Azure needs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vhdtool.guest.linux.cloudinit import DISABLED, FOLDER, MAIN, datasources
from vhdtool.guest.linux.files import settings, uncommented
from vhdtool.guest.linux.release import Family
from vhdtool.guest.linux.yaml import read_yaml
from vhdtool.rules.linux.declare import ERROR, INFO, WARNING, linux_rule
from vhdtool.rules.linux.hits import line_hit, listed, path_hit, quoted
from vhdtool.rules.model import GuestLocation, Hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.linux.guest import LinuxGuest
    from vhdtool.guest.linux.yaml import Item
    from vhdtool.rules.model import Severity

_INSTALLER_FILES = (
    "50-curtin-networking.cfg",
    "curtin-preserve-sources.cfg",
    "99-installer.cfg",
    "90-installer-network.cfg",
    "subiquity-disable-cloudinit-networking.cfg",
    "00-subiquity-disable-cloudinit-networking.cfg",
)
_DS_IDENTIFY = "/etc/cloud/ds-identify.cfg"


def item_hit(message: str, item: Item, severity: Severity | None = None) -> Hit:
    """Hit the line of a YAML file where an item stands."""
    return Hit(message, GuestLocation(item.path, item.line), b"", severity)


@linux_rule("LNX361", "azure-not-among-datasources", ERROR)
def azure_not_among_datasources(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Where cloud-init has a list of data sources, Azure is in it.

    ## Why it matters
    cloud-init asks nobody else: it does not learn of the user, and does not report ready.

    ## How to fix
    Write `datasource_list: [ Azure ]` to /etc/cloud/cloud.cfg.d/91-azure_datasource.cfg.

    ## Source
    - Azure, "Prepare Linux for imaging"
    - canonical/cloud-init, cloudinit/settings.py: without a list of its own Azure is asked
    """
    item = datasources(guest.cloud_config)
    if item is None or guest.cloud_init_program is None or _agent_provisions(guest):
        return
    if "Azure" not in item.texts:
        shown = ", ".join(quoted(text, 20) for text in item.texts[:8]) or "nothing"
        yield item_hit(f"cloud-init asks {shown}, expected Azure among them", item)


def _agent_provisions(guest: LinuxGuest) -> bool:
    """Whether waagent is told to provision, so that cloud-init need not."""
    config = guest.agent_config
    return (
        guest.agent_program is not None
        and config is not None
        and config.text("Provisioning.Agent") == "waagent"
    )


@linux_rule("LNX362", "azure-network-not-applied", INFO)
def azure_network_not_applied(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The Azure data source's apply_network_config is not false.

    ## Why it matters
    With false cloud-init sets up DHCP on the first card only, without the secondary addresses that
    Azure tells of. Azure's pages for distributions advise it, so this is only worth a line.

    ## How to fix
    Nothing needs to be done for one card with one address.

    ## Source
    - Azure, "Prepare a Red Hat-based virtual machine" (false)
    - canonical/cloud-init, cloudinit/sources/DataSourceAzure.py (true by default)
    """
    config = guest.cloud_config
    item = None if config is None else config.get("datasource", "Azure", "apply_network_config")
    if item is not None and item.value is False:
        yield item_hit("apply_network_config is false, cloud-init's default is true", item)


@linux_rule("LNX363", "cloud-init-disabled", ERROR)
def cloud_init_disabled(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Nothing disables cloud-init where it is installed and is to provision: no
    /etc/cloud/cloud-init.disabled, no `cloud-init=disabled` on the kernel's command line, no policy
    in ds-identify.cfg, no masked service. Where waagent is there and may provision instead, this is
    a warning.

    ## Why it matters
    Nobody sets up the new machine.

    ## How to fix
    Delete the file, or take the parameter away.

    ## Source
    - canonical/cloud-init, systemd/cloud-init-generator.tmpl and tools/ds-identify
    """
    if guest.cloud_init_program is None:
        return
    severity = WARNING if _agent_may_provision(guest) else None
    if guest.files.has_name(DISABLED):
        yield path_hit("cloud-init is disabled by this file", DISABLED, severity)
    parameters = guest.command_line
    if parameters is not None and parameters.has("cloud-init=disabled"):
        yield line_hit("cloud-init is disabled on the command line", parameters.line, severity)
    for line in uncommented(guest.files.lines(_DS_IDENTIFY)):
        if re.match(r"\s*policy:\s*disabled", line.text):
            yield line_hit("cloud-init is disabled by ds-identify's policy", line, severity)
    for name in ("cloud-init.service", "cloud-init-network.service", "cloud-init-local.service"):
        masked = guest.services.unit(name).masked_by
        if masked is not None:
            yield path_hit(f"{name} is masked", masked, severity)


def _agent_may_provision(guest: LinuxGuest) -> bool:
    config = guest.agent_config
    if guest.agent_program is None or config is None:
        return False
    return config.text("Provisioning.Agent", "auto") in ("auto", "waagent", "disabled")


@linux_rule("LNX364", "cloud-init-not-started", ERROR)
def cloud_init_not_started(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    All stages of cloud-init start with the machine: local, init (named network since version
    24.3), config and final. Where waagent may provision instead, this is a warning.

    ## Why it matters
    Each stage does a part: the user, the keys, the report that the machine is ready.

    ## How to fix
    `systemctl enable cloud-init-local cloud-init cloud-config cloud-final`

    ## Source
    - Azure, "Prepare Linux for imaging"
    - canonical/cloud-init, systemd/
    """
    if guest.cloud_init_program is None or guest.is_bsd or guest.files.has_name(DISABLED):
        return
    stages = (
        ("cloud-init-local.service", "cloud-init-local"),
        ("cloud-init.service", "cloud-init-network.service", "cloud-init"),
        ("cloud-config.service", "cloud-config"),
        ("cloud-final.service", "cloud-final"),
    )
    off = [
        names[0]
        for names in stages
        if guest.starts(*names) is None
        and not any(guest.services.unit(name).masked_by for name in names)
    ]
    if off:
        severity = WARNING if _agent_may_provision(guest) else None
        yield path_hit(
            f"{listed(off)} does not start with the machine", guest.cloud_init_program, severity
        )


@linux_rule("LNX365", "installer-settings-of-cloud-init", ERROR)
def installer_settings_of_cloud_init(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Ubuntu's installer has left no settings that restrict cloud-init: a data source, the network,
    or a switch. A file that does none of it is only worth a line.

    ## Why it matters
    With them cloud-init takes the installer's data for this machine's, or leaves the network as it
    was.

    ## How to fix
    Delete the files in /etc/cloud/cloud.cfg.d, /etc/cloud/ds-identify.cfg and /etc/netplan/*.yaml.

    ## Source
    - Azure, "Prepare an Ubuntu virtual machine"
    """
    for name in _INSTALLER_FILES:
        path = f"{FOLDER}/{name}"
        if not guest.files.exists(path):
            continue
        document = read_yaml(guest.files, path)
        keys = [] if document is None else [key for key, _ in document.pairs()]
        restricts = [key for key in keys if key in ("datasource_list", "datasource", "network")]
        what = f"sets {listed(restricts)}" if restricts else "is left"
        yield path_hit(
            f"the installer's file {what}, expected no such file", path, None if restricts else INFO
        )


@linux_rule("LNX366", "no-network-settings-at-all", ERROR)
def no_network_settings_at_all(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Where cloud-init is told to leave the network alone, something else configures it.
    NetworkManager needs no configuration for that.

    ## Why it matters
    The machine has no network: nobody can reach it, and it cannot report ready.

    ## How to fix
    Remove `network: {config: disabled}`, or write a configuration with DHCP.

    ## Source
    - Azure, "Prepare an Ubuntu virtual machine"
    - canonical/cloud-init, cloudinit/stages.py, _find_networking_config
    """
    config = guest.cloud_config
    item = None if config is None else config.get("network", "config")
    if item is None or item.value != "disabled" or guest.cloud_init_program is None:
        return
    if guest.interfaces or guest.starts(
        "NetworkManager.service", "dhcpcd.service", "wicked.service"
    ):
        return
    yield item_hit("cloud-init leaves the network alone, and nothing else configures it", item)


@linux_rule("LNX367", "mounts-run-late", INFO)
def mounts_run_late(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    cloud-init before version 23.1 has `mounts` and `disk_setup` among the modules of its first
    stage.

    ## Why it matters
    The resource disk is formatted and mounted before other services look for it only then.

    ## How to fix
    Move both into `cloud_init_modules` in /etc/cloud/cloud.cfg.

    ## Source
    - Azure, "Prepare a Red Hat-based virtual machine" and "Prepare Linux for imaging"
    """
    config, version = guest.cloud_config, guest.cloud_init_version
    if config is None or version is None or guest.cloud_init_program is None:
        return
    found = re.match(r"(?:\d+:)?(\d+)", version)
    modules = config.modules("init")
    if found is None or int(found.group(1)) >= 23 or modules is None:
        return
    late = [name for name in ("disk_setup", "mounts") if name not in modules]
    if late:
        yield path_hit(f"{listed(late)} is not among cloud_init_modules", MAIN)


@linux_rule("LNX368", "no-hyper-v-reporting", INFO)
def no_hyper_v_reporting(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Where cloud-init is set up for Azure by a file of its own, it reports to the host; and the key
    is `reporting`, in lower case.

    ## Why it matters
    With the reports Azure can tell where provisioning stopped. An upper-case key is ignored.

    ## How to fix
    Write `reporting: {logging: {type: log}, telemetry: {type: hyperv}}` to
    /etc/cloud/cloud.cfg.d/10-azure-kvp.cfg.

    ## Source
    - Azure, "Prepare a Red Hat-based virtual machine", which shows the key with a capital
    - canonical/cloud-init, cloudinit/reporting/handlers.py
    """
    config = guest.cloud_config
    if config is None:
        return
    wrong = config.get("Reporting")
    if wrong is not None:
        yield item_hit("the key is Reporting, expected reporting in lower case", wrong)
        return
    item = datasources(config)
    if item is None or item.texts[:1] != ["Azure"]:
        return
    reporting = config.get("reporting")
    types = [] if reporting is None else [one.get("type") for _, one in reporting.pairs()]
    if not any(kind is not None and kind.value == "hyperv" for kind in types):
        yield item_hit("cloud-init does not report to the host, expected telemetry of hyperv", item)


@linux_rule("LNX369", "no-cloud-init-logging", INFO)
def no_cloud_init_logging(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    /etc/cloud/cloud.cfg.d/05_logging.cfg is there, or other settings tell cloud-init where to log.

    ## Why it matters
    Without a log a failed deployment cannot be explained.

    ## How to fix
    Restore the file from the package.

    ## Source
    - Azure, "Prepare a Red Hat-based virtual machine"; canonical/cloud-init, config/cloud.cfg.d
    """
    config = guest.cloud_config
    path = f"{FOLDER}/05_logging.cfg"
    if config is None or guest.cloud_init_program is None or guest.files.exists(path):
        return
    if config.get("log_cfgs") is None and config.get("output") is None:
        yield path_hit("nothing tells cloud-init where to log", path)


@linux_rule("LNX370", "cloud-config-replaced", WARNING)
def cloud_config_replaced(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Where CLOUD_CFG in systemd's DefaultEnvironment names another file for cloud-init, that file is
    there and has the modules of all stages.

    ## Why it matters
    The file stands in for /etc/cloud/cloud.cfg: what it lacks is not done.

    ## How to fix
    Complete the file, or take CLOUD_CFG away once swap is made.

    ## Source
    - Azure, "Prepare Linux for imaging", swap by cloud-init
    """
    for path in (
        "/etc/systemd/system.conf",
        *guest.files.paths("/etc/systemd/system.conf.d", "*.conf"),
    ):
        setting = settings(guest.files.lines(path)).get("DefaultEnvironment")
        found = None if setting is None else re.search(r"CLOUD_CFG=([^\s\"']+)", setting.line.text)
        if setting is None or found is None:
            continue
        named = found.group(1)
        document = read_yaml(guest.files, named)
        if document is None:
            yield line_hit(f"cloud-init is given {quoted(named)}, which is not there", setting.line)
        elif document.get("cloud_init_modules") is None:
            yield line_hit(
                f"cloud-init is given {quoted(named)}, which has no cloud_init_modules",
                setting.line,
            )


@linux_rule("LNX374", "no-growpart", WARNING)
def no_growpart(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Where cloud-init is to grow the root, growpart is installed. Flatcar grows its root itself.

    ## Why it matters
    The root stays as small as the image, whatever disk the machine has.

    ## How to fix
    Install cloud-utils-growpart, cloud-guest-utils or cloud-utils.

    ## Source
    - Azure, "Prepare a Red Hat-based virtual machine"
    - canonical/cloud-init, cloudinit/config/cc_growpart.py. sgdisk is not asked for: growpart has
    used sfdisk for GPT since 0.32.
    """
    config = guest.cloud_config
    if config is None or guest.cloud_init_program is None or guest.is_bsd:
        return
    modules = config.modules("init")
    mode = config.get("growpart", "mode")
    if modules is not None and "growpart" not in modules:
        return
    if guest.is_of(Family.FLATCAR) or (mode is not None and mode.value in (False, "off")):
        return
    programs = (
        "/usr/bin/growpart",
        "/bin/growpart",
        "/usr/sbin/growpart",
        "/usr/bin/systemd-repart",
    )
    if guest.files.first(programs) is None:
        yield path_hit("cloud-init is to grow the root, and growpart is not installed", programs[0])
