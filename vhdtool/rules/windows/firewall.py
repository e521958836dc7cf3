"""The firewall: on, and open for what manages a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.guest.windows.network import FIREWALL, FIREWALL_POLICY, PROFILES
from vhdtool.rules.windows.declare import ERROR, INFO, WARNING, windows_rule
from vhdtool.rules.windows.hits import key_hit, listed, quoted, value_hit
from vhdtool.rules.windows.network import WIRE_SERVER
from vhdtool.rules.windows.rdp import PORT, RDP_TCP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.windows.guest import WindowsGuest
    from vhdtool.guest.windows.network import FirewallRule
    from vhdtool.rules.model import Hit

_POLICY_PROFILES = ("DomainProfile", "PrivateProfile", "PublicProfile")
_MANAGEMENT = (
    "WINRM-HTTP-In-TCP",
    "WINRM-HTTP-In-TCP-PUBLIC",
    "WINRM-HTTP-Compat-In-TCP",
    "FPS-ICMP4-ERQ-In",
)


def _is_on(guest: WindowsGuest) -> bool:
    """Whether the firewall is on in some profile, policies first."""
    for local, policy in zip(PROFILES, _POLICY_PROFILES, strict=True):
        number = None
        if guest.software is not None:
            number = guest.software.number(rf"{FIREWALL_POLICY}\{policy}", "EnableFirewall")
        if number is None and guest.system is not None:
            number = guest.system.number(rf"{FIREWALL}\{local}", "EnableFirewall")
        if number != 0:
            return True
    return False


def _lets_in(rule: FirewallRule, port: int) -> bool:
    """Whether a rule is for remote desktop: not for another program, service or the host only."""
    programs, services = rule.all("App"), rule.all("Svc")
    return (
        rule.is_active
        and rule.allows_port(port)
        and all(name.lower().endswith(("svchost.exe", "system")) for name in programs)
        and all(name.lower() in ("termservice", "*") for name in services)
        and WIRE_SERVER not in rule.all("RA4")
    )


@windows_rule("WIN425", "firewall-off", WARNING)
def firewall_off(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The firewall is on in all three profiles, and no policy switches it off.

    ## Why it matters
    Rules of Azure alone then guard the machine. Some extensions and tests expect it on.

    ## How to fix
    Set EnableFirewall to 1 in each profile.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    - The private profile is PrivateProfile in policies and StandardProfile elsewhere.
    """
    for registry, path, names in (
        (guest.system, FIREWALL, PROFILES),
        (guest.software, FIREWALL_POLICY, _POLICY_PROFILES),
    ):
        for name in names:
            key = rf"{path}\{name}"
            if registry is not None and registry.number(key, "EnableFirewall") == 0:
                message = f"the firewall is off in {name}, expected EnableFirewall 1"
                yield value_hit(registry, key, "EnableFirewall", message)


@windows_rule("WIN426", "firewall-blocks-remote-desktop", ERROR)
def firewall_blocks_remote_desktop(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    A rule of the firewall that is on lets TCP connections to remote desktop's port in, whatever its
    name; and the rules for UDP and for shadowing are on, which is only told.

    ## Why it matters
    Nobody can log on.

    ## How to fix
    Run `Enable-NetFirewallRule -DisplayGroup "Remote Desktop"`.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    - Windows 7 and Server 2008 R2 call the rule RemoteDesktop-In-TCP.
    """
    system, rules = guest.system, guest.network.rules
    key = None if system is None else system.key(rf"{FIREWALL}\FirewallRules")
    if system is None or key is None or not rules or not _is_on(guest):
        return
    port = system.number(RDP_TCP, "PortNumber") or PORT
    everything = rules + guest.network.policy_rules
    if not any(_lets_in(rule, port) for rule in everything):
        message = f"no active rule of the firewall lets TCP port {port} in"
        name = next((rule.name for rule in rules if rule.name.startswith("RemoteDesktop-")), None)
        yield key_hit(key, message, name)
        return
    for rule in rules:
        optional = ("RemoteDesktop-UserMode-In-UDP", "RemoteDesktop-Shadow-In-TCP")
        if rule.name in optional and not rule.is_active:
            yield key_hit(key, f"the firewall's rule {rule.name} is off", rule.name, INFO)


@windows_rule("WIN427", "firewall-blocks-management", INFO)
def firewall_blocks_management(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The firewall's rules for Windows Remote Management and for answering pings are on.

    ## Why it matters
    They are what is left where remote desktop fails.

    ## How to fix
    Run `Enable-PSRemoting -Force` and enable the rule FPS-ICMP4-ERQ-In.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    """
    key = None if guest.system is None else guest.system.key(rf"{FIREWALL}\FirewallRules")
    off = [
        rule.name for rule in guest.network.rules if rule.name in _MANAGEMENT and not rule.is_active
    ]
    if key is not None and off:
        yield key_hit(key, f"rules of the firewall are off: {listed(sorted(off))}", off[0])


@windows_rule("WIN428", "firewall-blocks-azure", WARNING)
def firewall_blocks_azure(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    No rule of the firewall blocks 168.63.129.16, which is an error; and some rule allows it in and
    out, which is only told where it is missing.

    ## Why it matters
    Azure's agent and health probes use that address. Without it the machine never becomes ready.

    ## How to fix
    Delete the rule that blocks it; add one that allows it, as the guide does (AzurePlatform).

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"; "What is IP address 168.63.129.16?"
    - By default Windows lets all connections out, so that a missing rule blocks nothing yet.
    """
    key = None if guest.system is None else guest.system.key(rf"{FIREWALL}\FirewallRules")
    network = guest.network
    allowed = False
    for rule in network.rules + network.policy_rules:
        addresses = rule.all("RA4") + rule.all("RA42")
        if not rule.is_active or not any(
            text.partition("/")[0].partition("-")[0] == WIRE_SERVER for text in addresses
        ):
            continue
        if rule.has("Action", "Block"):
            message = f"the firewall's rule {quoted(rule.name)} blocks {WIRE_SERVER}"
            yield key_hit(rule.key, message, rule.name, ERROR)
        else:
            allowed = True
    if key is not None and network.rules and not allowed:
        yield key_hit(key, f"no rule of the firewall allows {WIRE_SERVER}", severity=INFO)
