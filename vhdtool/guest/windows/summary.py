"""What `inspect` tells of a Windows guest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.guest.windows.membership import Membership
from vhdtool.guest.windows.network import Network
from vhdtool.guest.windows.product import Product

if TYPE_CHECKING:
    from vhdtool.guest.summary import Summary
    from vhdtool.guest.windows.accounts import Account
    from vhdtool.guest.windows.guest import WindowsGuest
    from vhdtool.guest.windows.network import Interface

_LOADER_PATH = 0x12000002  # BcdLibraryString_ApplicationPath


def fill(summary: Summary, guest: WindowsGuest) -> None:
    """Fill in what the guest's hives and files say; each part that cannot be read is a gap."""
    product = summary.attempt("the product", lambda: guest.product, Product())
    summary.product = product.name or "Windows"
    summary.name, summary.version = "windows", product.version
    summary.architecture = product.architecture or ""
    summary.host_name = summary.attempt("the host name", lambda: guest.computer_name, None) or ""
    nowhere = Membership("", None, by_sid=False)
    membership = summary.attempt("the membership", lambda: guest.membership, nowhere)
    summary.member_of = (membership.domain or "a domain") if membership.is_member else ""
    summary.boot_chain = summary.attempt("the boot stores", lambda: _boot_chain(guest), [])
    summary.kernels = [product.version] if product.version else []
    summary.agents = summary.attempt("the agent", lambda: _agents(guest), [])
    accounts = summary.attempt("the accounts", lambda: guest.accounts, None)
    summary.accounts = [(one.name, str(one.rid), _access(one)) for one in accounts or ()]
    network = summary.attempt("the network", lambda: guest.network, Network())
    summary.network = [(one.key.name, "registry", _address(one)) for one in network.interfaces]
    summary.verdict = summary.attempt("the verdict", lambda: guest.verdict, None)


def _boot_chain(guest: WindowsGuest) -> list[str]:
    steps = []
    for store in guest.boot_stores:
        where = store.volume or "the volume with Windows"
        firmware = "UEFI" if store.is_uefi else "BIOS"
        steps.append(f"{firmware}: boot configuration data {store.path} on {where}")
        loader = None if store.default is None else store.default.text(_LOADER_PATH)
        if loader is not None:
            steps.append(f"loader {loader}")
    return steps


def _agents(guest: WindowsGuest) -> list[tuple[str, ...]]:
    agent = guest.agent
    if not agent.services and agent.version is None:
        return []
    version = "unknown version" if agent.version is None else ".".join(map(str, agent.version))
    state = "installed" if agent.is_installed else "services missing"
    return [("Azure VM agent", version, state)]


def _access(account: Account) -> str:
    if account.is_enabled is None:
        return "flags are missing"
    kind = ", built in" if account.is_built_in else ""
    return ("enabled" if account.is_enabled else "disabled") + kind


def _address(interface: Interface) -> str:
    if interface.uses_dhcp:
        return "DHCP"
    return f"fixed {', '.join(interface.addresses)}" if interface.addresses else "no address"
