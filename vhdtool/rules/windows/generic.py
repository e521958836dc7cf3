"""The Windows halves of rules that are about guests of any system."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vhdtool.guest.windows.product import CURRENT_VERSION, ENVIRONMENT
from vhdtool.guest.windows.services import Start
from vhdtool.guest.windows.verdict import CAPTURED
from vhdtool.rules.windows.declare import INFO
from vhdtool.rules.windows.hits import file_hit, key_hit, listed, quoted, value_hit
from vhdtool.rules.windows.settings import TIME_ZONE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.windows.guest import WindowsGuest
    from vhdtool.rules.model import Hit

_KERNEL = "/Windows/System32/ntoskrnl.exe"
_HOSTS = "/Windows/System32/drivers/etc/hosts"
_TOOLS = {
    "VMware Tools": ("vmtools", "vm3dservice", "vmhgfs"),
    "VirtualBox guest additions": ("vboxservice", "vboxguest", "vboxsf"),
    "QEMU guest agent": ("qemu-ga",),
    "SPICE agent": ("vdservice", "spice-agent"),
    "KVM balloon service": ("balloonservice",),
    "Xen tools": ("xenagent", "xensvc", "xenguestagent"),
    "Parallels Tools": ("prl_tools", "prl_tools_service", "prl_fs"),
}
_UTC = ("utc", "coordinated universal time")
_HARMLESS = re.compile(r"127\.|::1$|0\.0\.0\.0$|168\.63\.129\.16$")
_SECRETS = (
    ".ssh/id_rsa",
    ".ssh/id_ed25519",
    ".ssh/id_ecdsa",
    ".aws/credentials",
    ".azure/accessTokens.json",
    ".azure/msal_token_cache.json",
    ".azure/msal_token_cache.bin",
    ".docker/config.json",
    ".git-credentials",
    ".kube/config",
)
_PLACES_OF_CERTIFICATES = ("", "Desktop", "Documents", "Downloads")


def not_identified(guest: WindowsGuest) -> Iterator[Hit]:
    """GEN201: the registry does not say which Windows it is."""
    if guest.software is not None and guest.product.build is None:
        message = "the registry has no CurrentBuild: it does not say which Windows this is"
        yield value_hit(guest.software, CURRENT_VERSION, "CurrentBuild", message)


def nobody_can_log_in(guest: WindowsGuest) -> Iterator[Hit]:
    """GEN204: no local account is enabled; members of a domain can log in with its accounts."""
    accounts, sam = guest.accounts, guest.hive("SAM")
    if not accounts or sam is None or guest.membership.is_member:
        return
    if all(account.is_enabled is False for account in accounts):
        message = "no local account is enabled, expected at least one"
        yield value_hit(sam, accounts[0].key, "F", message)


def not_64_bits(guest: WindowsGuest) -> Iterator[Hit]:
    """GEN205: the kernel is for 32 bits."""
    architecture = guest.product.architecture
    if architecture in ("i686", "arm"):
        yield _architecture_hit(guest, f"Windows is for {architecture}, expected 64 bits")


def arm64_in_generation_1(guest: WindowsGuest) -> Iterator[Hit]:
    """GEN207: Arm64 is of generation 2 only."""
    if guest.product.architecture == "aarch64":
        yield _architecture_hit(guest, "Windows is for aarch64, expected x86-64 in generation 1")


def _architecture_hit(guest: WindowsGuest, message: str) -> Hit:
    if guest.system is not None and not guest.tree.is_file(_KERNEL):
        return value_hit(guest.system, ENVIRONMENT, "PROCESSOR_ARCHITECTURE", message)
    return file_hit(_KERNEL, message)


def time_zone_not_utc(guest: WindowsGuest) -> Iterator[Hit]:
    """GEN213: the time zone is another than UTC."""
    system = guest.system
    zone = None if system is None else system.text(TIME_ZONE, "TimeZoneKeyName")
    if system is not None and zone and zone.lower() not in _UTC:
        message = f"the time zone is {quoted(zone)}, expected UTC"
        yield value_hit(system, TIME_ZONE, "TimeZoneKeyName", message)


def foreign_tools(guest: WindowsGuest) -> Iterator[Hit]:
    """GEN214: services of another hypervisor's tools start."""
    for product, names in _TOOLS.items():
        for name in names:
            service = guest.services.get(name)
            if service is not None and service.start not in (None, Start.DISABLED):
                message = f"{product} are installed ({service.name}), expected them removed"
                yield key_hit(service.key, message, "Start")
                break


def secrets_left(guest: WindowsGuest) -> Iterator[Hit]:
    """GEN216: profiles have keys or credentials; their content is not shown."""
    for user in guest.tree.names("/Users"):
        home = f"/Users/{user}"
        for name in _SECRETS:
            stat = guest.tree.stat(f"{home}/{name}")
            if stat is not None and stat.size > 0:
                yield file_hit(f"{home}/{name}", "credentials are left, expected none")
        for folder in _PLACES_OF_CERTIFICATES:
            place = f"{home}/{folder}".rstrip("/")
            keys = [name for name in guest.tree.names(place) if name.lower().endswith(".pfx")]
            if keys:
                message = f"certificates with their keys are left: {listed(keys)}"
                yield file_hit(f"{place}/{keys[0]}", message)


def hosts_entries_left(guest: WindowsGuest) -> Iterator[Hit]:
    """GEN218: the hosts file has other entries than the loopback's."""
    for number, line in enumerate(guest.lines(_HOSTS) or (), 1):
        words = line.partition("#")[0].split()
        if words and not _HARMLESS.match(words[0]):
            message = f"{quoted(words[0])} is given names, expected the loopback only"
            yield file_hit(_HOSTS, message, number, line.strip())


def provisioned_before(guest: WindowsGuest) -> Iterator[Hit]:
    """GEN219: Azure has provisioned this Windows before."""
    if CAPTURED in guest.verdict.histories:
        path = (*guest.agent.provisioned, "/WindowsAzure/Logs")[0]
        message = "this was a machine in Azure, provisioned by the Windows provisioning agent"
        yield file_hit(path, message, severity=INFO)
