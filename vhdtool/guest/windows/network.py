"""Interfaces, routes, proxy and firewall, as the registry has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vhdtool.guest.registry import Key, Registry
    from vhdtool.guest.windows.guest import WindowsGuest

TCPIP = r"CurrentControlSet\Services\Tcpip\Parameters"
FIREWALL = r"CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy"
FIREWALL_POLICY = r"Policies\Microsoft\WindowsFirewall"
WIN_HTTP = r"Microsoft\Windows\CurrentVersion\Internet Settings\Connections"
# The private profile is called StandardProfile outside policies.
PROFILES = ("DomainProfile", "StandardProfile", "PublicProfile")
_NO_ADDRESS = ("", "0.0.0.0")
_PROXY_IN_USE = 2


@dataclass(frozen=True, slots=True)
class Interface:
    """What an interface is set to.

    Attributes:
        key: Its key, named by its GUID.
        uses_dhcp: None where nothing is set: not an interface that ever had IPv4.
        addresses: Static addresses; kept, but not used, while `uses_dhcp`.
        gateways: Static gateways.
        name_servers: Static name servers, which win over those of DHCP.
    """

    key: Key
    uses_dhcp: bool | None
    addresses: tuple[str, ...]
    gateways: tuple[str, ...]
    name_servers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FirewallRule:
    """A rule: `v2.30|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=3389|...`."""

    key: Key
    name: str
    fields: tuple[tuple[str, str], ...]

    def all(self, field: str) -> tuple[str, ...]:
        """Return the values of a field, which may be there several times."""
        return tuple(value for name, value in self.fields if name.lower() == field.lower())

    def has(self, field: str, value: str) -> bool:
        """Whether a field has a value, in any case."""
        return any(found.lower() == value.lower() for found in self.all(field))

    @property
    def is_active(self) -> bool:
        """Whether the rule is switched on."""
        return self.has("Active", "TRUE")

    def allows_port(self, port: int) -> bool:
        """Whether the rule lets TCP connections to a port in, when it is active."""
        if not (self.has("Action", "Allow") and self.has("Dir", "In")):
            return False
        protocols = self.all("Protocol")
        if protocols and "6" not in protocols:
            return False
        ports = self.all("LPort") + self.all("LPort2_10")
        return not ports or any(_covers(text, port) for text in ports)


@dataclass(frozen=True, slots=True)
class Proxy:
    """The machine's proxy (`netsh winhttp`)."""

    server: str
    bypass: str


@dataclass(frozen=True, slots=True)
class Network:
    """What is known of the network."""

    interfaces: tuple[Interface, ...] = ()
    rules: tuple[FirewallRule, ...] = ()
    policy_rules: tuple[FirewallRule, ...] = ()
    proxy: Proxy | None = None


def read_network(guest: WindowsGuest) -> Network:
    """Collect interfaces, rules and the proxy."""
    system, software = guest.system, guest.software
    interfaces: tuple[Interface, ...] = ()
    if system is not None:
        key = system.key(rf"{TCPIP}\Interfaces")
        interfaces = () if key is None else tuple(_interface(below) for below in key.subkeys())
    return Network(
        interfaces,
        _rules(system, rf"{FIREWALL}\FirewallRules"),
        _rules(software, rf"{FIREWALL_POLICY}\FirewallRules"),
        read_proxy(software),
    )


def read_proxy(software: Registry | None) -> Proxy | None:
    """Read the machine's proxy; None where none is used.

    The value is a size, a counter, flags, then the server and the bypass list, each a length of
    32 bits and text.
    """
    value = None if software is None else software.value(WIN_HTTP, "WinHttpSettings")
    data = b"" if value is None else value.data
    if len(data) < 16 or not int.from_bytes(data[8:12], "little") & _PROXY_IN_USE:
        return None
    server, rest = _counted(data[12:])
    bypass, _ = _counted(rest)
    return Proxy(server, bypass) if server else None


def _counted(data: bytes) -> tuple[str, bytes]:
    length = int.from_bytes(data[:4], "little")
    return data[4 : 4 + length].decode("latin-1"), data[4 + length :]


def _interface(key: Key) -> Interface:
    dhcp = key.number("EnableDHCP")
    return Interface(
        key,
        None if dhcp is None else bool(dhcp),
        _addresses(key, "IPAddress"),
        _addresses(key, "DefaultGateway"),
        _addresses(key, "NameServer"),
    )


def _addresses(key: Key, name: str) -> tuple[str, ...]:
    """Addresses of a list, or of a text with commas or spaces between them."""
    value = key.value(name)
    if value is None:
        return ()
    strings = value.strings
    if strings is None:
        strings = tuple((value.text or "").replace(",", " ").split())
    return tuple(text for text in strings if text not in _NO_ADDRESS)


def _rules(registry: Registry | None, path: str) -> tuple[FirewallRule, ...]:
    key = None if registry is None else registry.key(path)
    if key is None:
        return ()
    found = []
    for value in key.values():
        parts = (value.text or "").split("|")
        fields = [tuple(part.split("=", 1)) for part in parts if "=" in part]
        found.append(FirewallRule(key, value.name, tuple((a, b) for a, b in fields)))
    return tuple(found)


def _covers(ports: str, port: int) -> bool:
    first, _, last = ports.partition("-")
    if first.isdecimal() and len(first) < 6:
        end = int(last) if last.isdecimal() and len(last) < 6 else int(first)
        return int(first) <= port <= end
    return False
