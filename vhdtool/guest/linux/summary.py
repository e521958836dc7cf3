"""What `inspect` tells of a Linux guest."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vhdtool.guest.linux.accounts import Account, Password
    from vhdtool.guest.linux.guest import LinuxGuest
    from vhdtool.guest.linux.network import Interface
    from vhdtool.guest.summary import Summary

_AGENT_UNITS = ("walinuxagent.service", "waagent.service")
_CLOUD_INIT_UNITS = ("cloud-init.service", "cloud-init-main.service")


def fill(summary: Summary, guest: LinuxGuest) -> None:
    """Fill in what the guest's files say; each part that cannot be read is a gap."""
    release = summary.attempt("the distribution", lambda: guest.release, None)
    if release is not None:
        summary.product, summary.name = release.name, release.id
        summary.version = release.version
    program = summary.attempt("the architecture", lambda: guest.architecture, None)
    summary.architecture = "" if program is None else program.machine
    host_name = summary.attempt("the host name", lambda: guest.hostname, None)
    summary.host_name = "" if host_name is None else host_name.text.strip()
    summary.boot_chain = summary.attempt("the boot loader", lambda: _boot_chain(guest), [])
    summary.kernels = summary.attempt("the kernels", lambda: _kernels(guest), [])
    for what, read in (("waagent", _waagent), ("cloud-init", _cloud_init)):
        agent = summary.attempt(what, lambda read=read: read(guest), None)  # type: ignore[misc]
        if agent is not None:
            summary.agents.append(agent)
    summary.accounts = summary.attempt("the accounts", lambda: _accounts(guest), [])
    summary.network = summary.attempt("the network", lambda: _network(guest), [])
    summary.verdict = summary.attempt("the verdict", lambda: guest.verdict, None)


def _boot_chain(guest: LinuxGuest) -> list[str]:
    boot = guest.boot
    if boot is None:
        return []
    initrds = [f"initial RAM disk {path or f'{name} (missing)'}" for name, path in boot.initrds]
    kernel = boot.kernel or f"{boot.entry.kernel or 'none'} (missing)"
    steps = [f"{boot.loader}: {boot.entry.title}", f"kernel {kernel}", *initrds]
    if boot.command_line.words:
        steps.append(f"parameters {' '.join(boot.command_line.words)}")
    return steps


def _kernels(guest: LinuxGuest) -> list[str]:
    default = None if guest.kernel is None else guest.kernel.version
    versions = [kernel.version for kernel in guest.kernels]
    return sorted(versions, key=lambda version: version != default)


def _waagent(guest: LinuxGuest) -> tuple[str, ...] | None:
    if guest.agent_program is None:
        return None
    version = guest.agent_version
    known = "unknown version" if version is None else version.value
    return "waagent", known, _starts(guest, *_AGENT_UNITS)


def _cloud_init(guest: LinuxGuest) -> tuple[str, ...] | None:
    if guest.cloud_init_program is None:
        return None
    version = guest.cloud_init_version or "unknown version"
    return "cloud-init", version, _starts(guest, *_CLOUD_INIT_UNITS)


def _starts(guest: LinuxGuest, *names: str) -> str:
    return "does not start" if guest.starts(*names) is None else "starts"


def _network(guest: LinuxGuest) -> list[tuple[str, ...]]:
    return [(one.name or "any", one.tool, _address(one)) for one in guest.interfaces]


def _accounts(guest: LinuxGuest) -> list[tuple[str, ...]]:
    passwords = {password.name: password for password in guest.passwords}
    keys = {line.path.rpartition("/.ssh/")[0] for line in guest.authorized_keys()}
    root = [account for account in guest.accounts if account.uid == 0]
    rows: list[tuple[str, ...]] = []
    for account in [*root, *(one for one in guest.people if one not in root)]:
        number = "" if account.uid is None else str(account.uid)
        has_key = account.home.rstrip("/") in keys
        rows.append((account.name, number, _access(account, passwords.get(account.name), has_key)))
    return rows


def _access(account: Account, password: Password | None, has_key: bool) -> str:
    if password is None:
        known = "no line in shadow"
    elif password.is_empty:
        known = "no password is asked for"
    else:
        known = "has a password" if password.is_usable else "password locked"
    if has_key:
        known = f"{known}, has a key"
    return known if account.can_log_in else f"{known}, no shell"


def _address(interface: Interface) -> str:
    ways = ["DHCP"] if interface.dhcp else []
    if interface.static is not None:
        ways.append("fixed address")
    if interface.mac is not None:
        ways.append("tied to a hardware address")
    return ", ".join(ways) or "no address"
