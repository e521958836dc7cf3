"""Network: DHCP on whatever card the machine has, and nothing of the build machine's."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from vhdtool.guest.linux.files import settings, uncommented
from vhdtool.guest.linux.network import ifcfg_paths, link_macs, persistent_net_rules
from vhdtool.guest.linux.release import Family
from vhdtool.rules.linux.declare import ERROR, GENERALIZED, INFO, WARNING, linux_rule
from vhdtool.rules.linux.hits import line_hit, path_hit, quoted
from vhdtool.rules.model import Hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.linux.guest import LinuxGuest

_SCRIPTS = "/etc/sysconfig/network-scripts"
_MANAGERS = (
    "NetworkManager.service",
    "network.service",
    "network",
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "wicked.service",
    "networking.service",
    "networking",
    "dhcpcd.service",
)
WIRE_SERVER = "168.63.129.16"


@linux_rule("LNX300", "azure-linux-network-settings", WARNING)
def azure_linux_network_settings(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Azure Linux has systemd-networkd's settings, in /etc/systemd or /usr/lib/systemd.

    ## Why it matters
    They come with the package that configures the network.

    ## How to fix
    Reinstall systemd-networkd.

    ## Source
    - microsoft/lisa, azure_image_standard.py. Of the DHCP clients' settings that it looks for too,
    dhcpcd's are not asked for: images without dhcpcd get their address by networkd.
    """
    if guest.is_of(Family.AZURE_LINUX):
        paths = ("/etc/systemd/networkd.conf", "/usr/lib/systemd/networkd.conf")
        if guest.files.first(paths) is None:
            yield path_hit("the settings of systemd-networkd are missing", paths[0])


@linux_rule("LNX335", "persistent-net-rules", ERROR)
def persistent_net_rules_left(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    /etc/udev/rules.d has no *-persistent-net.rules with rules that name cards by their hardware
    addresses.

    ## Why it matters
    The machine in Azure has another card: it becomes eth1, and eth0, which is configured, is gone.

    ## How to fix
    Delete the file.

    ## Source
    - Azure, "Prepare Linux for imaging"
    """
    rules = [
        line
        for line in persistent_net_rules(guest.files)
        if re.search(r"ATTR\{address\}|ATTRS\{address\}", line.text)
    ]
    if rules:
        yield line_hit("udev names a card of the build machine", rules[0])


@linux_rule("LNX336", "net-rules-generator", WARNING)
def net_rules_generator(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    udev's generator of persistent network rules, as old distributions have it, is disabled.

    ## Why it matters
    It writes the rules of LNX335 anew at each start, on every machine.

    ## How to fix
    `ln -sf /dev/null /etc/udev/rules.d/75-persistent-net-generator.rules`

    ## Source
    - Azure, "Prepare a Red Hat-based virtual machine" (6) and "Prepare Linux for imaging"
    """
    name = "75-persistent-net-generator.rules"
    for folder in ("/lib/udev/rules.d", "/usr/lib/udev/rules.d", "/usr/lib64/udev/rules.d"):
        path = f"{folder}/{name}"
        if guest.files.size(path) and not guest.files.has_name(f"/etc/udev/rules.d/{name}"):
            yield path_hit(
                "udev makes persistent names for network cards, expected it disabled", path
            )
            return


@linux_rule("LNX337", "mac-address-in-network-settings", ERROR, GENERALIZED)
def mac_address_in_network_settings(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    No network configuration names a hardware address.

    ## Why it matters
    The machine in Azure has another card, and the configuration is for none: no network.

    ## How to fix
    Remove HWADDR, MACADDR, `macaddress`, `mac-address` or MACAddress.

    ## Source
    - Azure, "Prepare Linux for imaging"; libguestfs/guestfs-tools, sysprep net-hwaddr
    """
    seen = set()
    lines = [one.mac for one in guest.interfaces if one.mac is not None]
    for line in [*lines, *link_macs(guest.files)]:
        if (line.path, line.number) not in seen:
            seen.add((line.path, line.number))
            yield line_hit(f"a card is named by its address: {quoted(line.text.strip())}", line)


@linux_rule("LNX338", "static-address", ERROR)
def static_address(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    No network card has a fixed address of IPv4, unless another one is set up by DHCP; then this is
    a warning. No configuration at all is fine where cloud-init or NetworkManager makes one.

    ## Why it matters
    Azure gives addresses by DHCP, and passes no packets from others.

    ## How to fix
    Set the card to DHCP. A fixed address is set in Azure, on the network interface.

    ## Source
    - Azure, "Prepare Linux for imaging" and the distributions' pages
    """
    cards = [one for one in guest.interfaces if one.is_ethernet]
    severity = WARNING if any(one.dhcp for one in cards) else None
    for one in cards:
        if one.static is not None:
            name = quoted(one.name) or "a card"
            shown = one.static.text.strip()
            said = f": {quoted(shown)}" if shown else ""
            yield line_hit(f"{name} has a fixed address, expected DHCP{said}", one.static, severity)


def _is_red_hat(guest: LinuxGuest) -> bool:
    return guest.is_of(Family.REDHAT) and guest.release is not None


@linux_rule("LNX339", "ifcfg-eth0", WARNING)
def ifcfg_eth0(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    ifcfg-eth0 of Red Hat's family, where it is there, says ONBOOT=yes, BOOTPROTO=dhcp and
    DEVICE=eth0.

    ## Why it matters
    Otherwise the card is not brought up, or not by DHCP.

    ## How to fix
    Write DEVICE=eth0, ONBOOT=yes, BOOTPROTO=dhcp, TYPE=Ethernet, USERCTL=no, PEERDNS=yes.

    ## Source
    - Azure, "Prepare a Red Hat-based virtual machine"; microsoft/lisa, azure_image_standard.py
    """
    path = f"{_SCRIPTS}/ifcfg-eth0"
    if not _is_red_hat(guest) or not guest.files.exists(path):
        return
    values = settings(guest.files.lines(path))
    for key, wanted in (("DEVICE", "eth0"), ("ONBOOT", "yes"), ("BOOTPROTO", "dhcp")):
        setting = values.get(key)
        if setting is None:
            if key != "DEVICE":
                yield path_hit(f"{key} is not set, expected {wanted}", path)
        elif setting.value.lower() != wanted:
            yield line_hit(f"{key} is {quoted(setting.value)}, expected {wanted}", setting.line)


@linux_rule("LNX340", "networking-not-on", WARNING)
def networking_not_on(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    /etc/sysconfig/network of Red Hat's family says NETWORKING=yes where network scripts are used:
    up to release 7, or where they are enabled.

    ## Why it matters
    The scripts do nothing without it.

    ## How to fix
    Write `NETWORKING=yes` to the file.

    ## Source
    - Azure, "Prepare a Red Hat-based virtual machine"
    - Narrower than the catalogue: NetworkManager of later releases does not read the file.
    """
    if not _is_red_hat(guest):
        return
    old = guest.release is not None and guest.release.before(8) and guest.release.id != "fedora"
    if not old and guest.starts("network.service") is None:
        return
    path = "/etc/sysconfig/network"
    setting = settings(guest.files.lines(path)).get("NETWORKING")
    if setting is None:
        yield path_hit("NETWORKING is not set, expected yes", path)
    elif setting.value.lower() != "yes":
        yield line_hit(f"NETWORKING is {quoted(setting.value)}, expected yes", setting.line)


@linux_rule("LNX341", "networkmanager-on-release-6", INFO)
def networkmanager_on_release_6(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Releases before 7 of Red Hat's family have no NetworkManager.

    ## Why it matters
    The agent's package of that time conflicts with it.

    ## How to fix
    `rpm -e --nodeps NetworkManager`

    ## Source
    - Azure, "Prepare a Red Hat-based virtual machine" (6)
    """
    if not _is_red_hat(guest) or guest.release is None or guest.release.id == "fedora":
        return
    if guest.release.before(7) and guest.packages and guest.packages.has("NetworkManager"):
        yield path_hit("NetworkManager is installed, expected it removed", guest.packages.path)


@linux_rule("LNX342", "no-network-service", ERROR)
def no_network_service(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Red Hat's family starts NetworkManager, systemd-networkd or the network scripts.

    ## Why it matters
    The machine has no network.

    ## How to fix
    `systemctl enable NetworkManager`, or `chkconfig network on` in release 6.

    ## Source
    - Azure, "Prepare a Red Hat-based virtual machine"
    """
    if not _is_red_hat(guest) or guest.starts(*_MANAGERS) is not None:
        return
    present = guest.services.present(_MANAGERS)
    if present and present[0].path is not None:
        yield path_hit(f"{present[0].name} does not start with the machine", present[0].path)
    else:
        yield Hit("no service that sets up the network is installed")


@linux_rule("LNX343", "suse-dhcp-host-name", WARNING)
def suse_dhcp_host_name(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    SUSE's /etc/sysconfig/network/dhcp says DHCLIENT_SET_HOSTNAME="no".

    ## Why it matters
    The name that DHCP gives replaces the one that the machine was provisioned with.

    ## How to fix
    Set DHCLIENT_SET_HOSTNAME="no".

    ## Source
    - Azure, "Prepare a SLES or openSUSE virtual machine"; microsoft/lisa, azure_image_standard.py
    """
    if not guest.is_of(Family.SUSE):
        return
    setting = settings(guest.files.lines("/etc/sysconfig/network/dhcp")).get(
        "DHCLIENT_SET_HOSTNAME"
    )
    if setting is not None and setting.value.lower() != "no":
        yield line_hit(
            f"DHCLIENT_SET_HOSTNAME is {quoted(setting.value)}, expected no", setting.line
        )


@linux_rule("LNX380", "virtual-function-managed", WARNING)
def virtual_function_managed(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Where NetworkManager starts, it is told to leave the second face of an accelerated card alone,
    by a udev rule or its own settings.

    ## Why it matters
    NetworkManager asks for an address on both faces of the same card, and the machine loses its
    network now and then.

    ## How to fix
    Write /etc/udev/rules.d/68-azure-sriov-nm-unmanaged.rules as Azure's page has it.

    ## Source
    - Azure, "Prepare Linux for imaging"; osbuild/images, settings of its Azure images
    """
    started = guest.starts("NetworkManager.service")
    if started is None or started.path is None:
        return
    files = guest.files
    folders = ("/etc/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d")
    for path in files.drop_ins(folders, "*.rules"):
        if any(
            "NM_UNMANAGED" in line.text and re.search(r"hv_pci|pci-hyperv|mlx|mana", line.text)
            for line in uncommented(files.lines(path))
        ):
            return
    configs = ("/etc/NetworkManager/conf.d", "/usr/lib/NetworkManager/conf.d")
    for path in files.drop_ins(configs, "*.conf"):
        if any("mlx" in line.text or "mana" in line.text.split(":") for line in files.lines(path)):
            return
    yield path_hit(
        "NetworkManager manages both faces of an accelerated card, expected a rule against it",
        started.path,
    )


@linux_rule("LNX393", "firewall-in-the-way", WARNING)
def firewall_in_the_way(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    No rule of iptables or nftables that is loaded at start drops what goes to or comes from
    168.63.129.16 for root too, and firewalld's default zone lets SSH in.

    ## Why it matters
    The address is Azure's: DHCP, DNS, the agent and health probes need it.

    ## How to fix
    Allow 168.63.129.16 with ports 80 and 32526, and TCP port 22.

    ## Source
    - Azure, "What is IP address 168.63.129.16?"
    """
    files = guest.files
    saved = ("/etc/sysconfig/iptables", "/etc/iptables/rules.v4", "/etc/nftables.conf",
             "/etc/sysconfig/nftables.conf")  # fmt: skip
    for path in saved:
        for line in uncommented(files.lines(path)):
            # the agent's own rule drops it for users other than root, by state
            own = "--ctstate" in line.text or "--uid-owner" in line.text
            drops = re.search(r"(-j\s+(DROP|REJECT)|\b(drop|reject)\b)", line.text)
            if WIRE_SERVER in line.text and drops and not own:
                yield line_hit(f"packets of {WIRE_SERVER} are dropped", line)
    if guest.starts("firewalld.service") is None:
        return
    main = settings(files.lines("/etc/firewalld/firewalld.conf")).get("DefaultZone")
    zone = "public" if main is None else main.value
    zone_file = files.first(
        (f"/etc/firewalld/zones/{zone}.xml", f"/usr/lib/firewalld/zones/{zone}.xml")
    )
    if zone_file is None or zone == "trusted":
        return
    text = files.text(zone_file) or ""
    accepts = re.search(r'<zone[^>]*target="ACCEPT"', text)
    if not accepts and not re.search(r'<service\s+name="ssh"|<port[^>]*port="22"', text):
        yield path_hit(f"firewalld's default zone {quoted(zone)} does not let SSH in", zone_file)


@linux_rule("LNX394", "proxy-or-name-server-of-build", WARNING, GENERALIZED)
def proxy_or_name_server_of_build(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    No proxy is set for the system, the package manager or the agent, and no private name server is
    written into /etc/resolv.conf.

    ## Why it matters
    They are those of the network that the image was made in, and cannot be reached from Azure.

    ## How to fix
    Remove the lines.

    ## Source
    - Azure Marketplace, "Security recommendations"
    - kubernetes-sigs/image-builder removes the same
    """
    files = guest.files
    paths = ["/etc/environment", "/etc/yum.conf", "/etc/dnf/dnf.conf", "/etc/sysconfig/proxy",
             *files.paths("/etc/profile.d", "*.sh"), *files.paths("/etc/apt/apt.conf.d"),
             "/etc/apt/apt.conf"]  # fmt: skip
    for path in paths:
        for line in uncommented(files.lines(path), "#;/"):
            found = re.search(
                r"(?:\b(?:https?_proxy|HTTPS?_PROXY|proxy)\s*=|::Proxy)\s*[\"']?(https?://[^\s\"';]+)",
                line.text,
            )
            if found:
                yield line_hit("a proxy is set, expected none", line)
    config = guest.agent_config
    for key in ("HttpProxy.Host", "HttpProxy.Port"):
        setting = None if config is None else config.get(key)
        if setting is not None and setting.value not in ("", "None"):
            yield line_hit(f"{key} is set, expected none", setting.line)
    if files.is_link("/etc/resolv.conf"):
        return
    for line in uncommented(files.lines("/etc/resolv.conf"), "#;"):
        words = line.text.split()
        if words[0] == "nameserver" and len(words) > 1 and _is_private(words[1]):
            yield line_hit(f"{quoted(words[1])} is a name server of a private network", line)


def _is_private(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return address.is_private and not address.is_loopback


@linux_rule("LNX320", "eth0-without-old-names", WARNING)
def eth0_without_old_names(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Where Red Hat's family configures eth0 by name, `net.ifnames=0` is on the kernel's command line.
    Cards of Hyper-V alone keep the name eth0 in any case, so that this is a warning.

    ## Why it matters
    Otherwise the kernel's names may be others than those that are configured.

    ## How to fix
    Add net.ifnames=0 to GRUB_CMDLINE_LINUX, and `grub2-mkconfig`.

    ## Source
    - Azure, "Prepare a Red Hat-based virtual machine" and "Prepare an Oracle Linux virtual machine"
    """
    parameters = guest.command_line
    if not _is_red_hat(guest) or parameters is None:
        return
    if "0" in parameters.values("net.ifnames"):
        return
    for path in ifcfg_paths(guest.files):
        if path.endswith("/ifcfg-eth0"):
            yield line_hit("eth0 is configured, expected net.ifnames=0 here", parameters.line)
