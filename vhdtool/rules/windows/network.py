"""Addresses, routes and proxies that fit the network of the build, and not Azure's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.guest.verdict import State
from vhdtool.guest.windows.network import TCPIP, WIN_HTTP
from vhdtool.rules.windows.declare import ERROR, INFO, SPECIALIZED, WARNING, windows_rule
from vhdtool.rules.windows.hits import key_hit, listed, quoted, value_hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.windows.guest import WindowsGuest
    from vhdtool.rules.model import Hit

WIRE_SERVER = "168.63.129.16"
_CLASS = r"CurrentControlSet\Control\Class\{4D36E972-E325-11CE-BFC1-08002BE10318}"
# By PCI: Microsoft's MANA, and Mellanox for accelerated networking.
_AZURE_ADAPTERS = ("PCI\\VEN_1414", "PCI\\VEN_15B3")


@windows_rule("WIN406", "persistent-routes", WARNING)
def persistent_routes(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    There are no persistent routes.

    ## Why it matters
    They lead traffic through routers that Azure's network does not have, at worst all of it.

    ## How to fix
    Delete the values of Tcpip\\Parameters\\PersistentRoutes.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    """
    key = None if guest.system is None else guest.system.key(rf"{TCPIP}\PersistentRoutes")
    for value in () if key is None else key.values():
        if key is not None and value.name:
            message = f"the route {quoted(value.name)} is persistent, expected none"
            yield key_hit(key, message, value.name)


@windows_rule("WIN407", "proxy-without-bypass", WARNING)
def proxy_without_bypass(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The machine (WinHTTP) has no proxy, or one whose bypass list names 168.63.129.16.

    ## Why it matters
    That address is the host that Azure's agent reports to. Through a proxy it is not reached, and
    the machine never becomes ready.

    ## How to fix
    Run `netsh winhttp reset proxy`, or set the bypass list.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    - The layout of the value is the one that several public programs parse alike.
    """
    software, proxy = guest.software, guest.network.proxy
    if software is None or proxy is None:
        return
    bypass = proxy.bypass.replace(",", ";").split(";")
    if not any(_covers_wire_server(entry.strip()) for entry in bypass):
        message = (
            f'the proxy "{quoted(proxy.server)}" is used for {WIRE_SERVER}: the bypass list is '
            f'"{quoted(proxy.bypass)}"'
        )
        yield value_hit(software, WIN_HTTP, "WinHttpSettings", message)


def _covers_wire_server(entry: str) -> bool:
    beginning, star, rest = entry.partition("*")
    return WIRE_SERVER.startswith(beginning) if star and not rest else entry == WIRE_SERVER


@windows_rule("WIN412", "interface-without-dhcp", ERROR)
def interface_without_dhcp(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Every interface gets its address by DHCP. Static name servers are a warning. In a sealed image
    both are warnings, since Sysprep removes the adapters that had them.

    ## Why it matters
    A machine that keeps the address of another network cannot be reached, and cannot report.

    ## How to fix
    Set the interfaces to DHCP and the name servers to automatic, or set EnableDHCP 1 and delete the
    addresses offline.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"; "Azure Virtual Machine Agent"
    """
    sealed = guest.verdict.state is State.GENERALIZED
    for interface in guest.network.interfaces:
        key = interface.key
        if interface.uses_dhcp is False and interface.addresses:
            message = (
                f"the interface {quoted(key.name)} has the static address "
                f"{listed(interface.addresses)}, expected DHCP"
            )
            yield key_hit(key, message, "IPAddress", WARNING if sealed else None)
        if interface.name_servers:
            message = (
                f"the interface {quoted(key.name)} has static name servers "
                f"{listed(interface.name_servers)}, expected those of DHCP"
            )
            yield key_hit(key, message, "NameServer", WARNING)


@windows_rule("WIN449", "adapters-of-another-machine", INFO, SPECIALIZED)
def adapters_of_another_machine(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Network adapters on PCI that Windows knows are those that Azure has: Microsoft's, Mellanox's.

    ## Why it matters
    Adapters of other machines stay as hidden devices in Azure, with names and settings that the
    new adapter cannot have.

    ## How to fix
    Remove hidden adapters in Device Manager.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    - The device that an adapter was found on is the value DeviceInstanceID of its class key.
    """
    key = None if guest.system is None else guest.system.key(_CLASS)
    for adapter in () if key is None else key.subkeys():
        device = (adapter.text("DeviceInstanceID") or "").upper()
        if device.startswith(("PCI\\", "XEN")) and not device.startswith(_AZURE_ADAPTERS):
            name = quoted(adapter.text("DriverDesc") or device)
            yield key_hit(adapter, f"the adapter {name} is none that Azure has", "DeviceInstanceID")
