"""How network interfaces are configured, by whichever tool."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vhdtool.guest.linux.files import Line, Setting, settings, uncommented
from vhdtool.guest.linux.release import Family
from vhdtool.guest.linux.yaml import read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.linux.files import Files
    from vhdtool.guest.linux.release import Release
    from vhdtool.guest.linux.yaml import Item

_ETHERNET = re.compile(r"(eth|en|hn|hvn)[\w*?\[\]-]*$|\*$|e\*$")


@dataclass(frozen=True, slots=True)
class Interface:
    """What one configuration says of one interface, or of those that a pattern fits.

    Attributes:
        tool: `ifcfg`, `netplan`, `NetworkManager`, `systemd-networkd`, `interfaces`.
        name: The interface, a pattern, or "" where it is chosen by something else.
        dhcp: Whether an address is asked for by DHCP.
        static: The line that gives a fixed address of IPv4, if one does.
        mac: The line that ties it to a hardware address, if one does.
        line: Where it starts.
    """

    tool: str
    name: str
    dhcp: bool
    static: Line | None
    mac: Line | None
    line: Line

    @property
    def is_ethernet(self) -> bool:
        """Whether it may be a machine's network card, rather than a bridge or the like."""
        return self.name == "" or _ETHERNET.match(self.name) is not None


def read_interfaces(files: Files, release: Release | None) -> list[Interface]:
    """Return what all tools say of interfaces other than the loopback.

    Raises:
        GuestError: A file of netplan is no YAML.
    """
    found = [*_ifcfg(files), *_netplan(files), *_keyfiles(files), *_networkd(files)]
    if release is None or not release.is_bsd:
        found += _ifupdown(files)
    if release is not None and release.family is Family.FREEBSD:
        found += _rc_conf(files)
    return [one for one in found if one.name != "lo"]


def ifcfg_paths(files: Files) -> list[str]:
    """Return the ifcfg files of Red Hat's and SUSE's families, backups left out."""
    paths = []
    for folder in ("/etc/sysconfig/network-scripts", "/etc/sysconfig/network"):
        paths += files.paths(folder, "ifcfg-*")
    return [path for path in paths if not re.search(r"(~|\.(bak|orig|rpmsave|rpmnew|old))$", path)]


def _ifcfg(files: Files) -> Iterator[Interface]:
    for path in ifcfg_paths(files):
        values = settings(files.lines(path))
        default = posixpath.basename(path).removeprefix("ifcfg-")
        name = values["DEVICE"].value if "DEVICE" in values else default
        kind = values["TYPE"].value.lower() if "TYPE" in values else "ethernet"
        if kind != "ethernet" or name.startswith("lo"):
            continue
        protocol = values["BOOTPROTO"].value.lower() if "BOOTPROTO" in values else ""
        dhcp = protocol.startswith(("dhcp", "bootp"))
        address = values.get("IPADDR") or values.get("IPADDR0")
        mac = next((values[key] for key in ("HWADDR", "MACADDR") if key in values), None)
        yield Interface(
            "ifcfg",
            name,
            dhcp,
            address.line if address is not None and address.value and not dhcp else None,
            mac.line if mac is not None and mac.value else None,
            Line(path, 1, ""),
        )


def _netplan(files: Files) -> Iterator[Interface]:
    folders = ("/etc/netplan", "/usr/lib/netplan", "/lib/netplan")
    for path in files.drop_ins(folders, "*.yaml"):
        document = read_yaml(files, path)
        network = None if document is None else document.get("network")
        ethernets = None if network is None else network.get("ethernets")
        if ethernets is None:
            continue
        for name, item in ethernets.pairs():
            wanted = item.get("match", "name")
            text = wanted.value if wanted is not None and isinstance(wanted.value, str) else name
            dhcp = item.get("dhcp4")
            on = dhcp is not None and (dhcp.value is True or str(dhcp.value).lower() == "yes")
            addresses = item.get("addresses")
            static = None
            if addresses is not None and addresses.value and not on:
                static = _line(files, addresses)
            mac = item.get("match", "macaddress")
            yield Interface(
                "netplan", text, on, static, None if mac is None else _line(files, mac),
                _line(files, item),
            )  # fmt: skip


def _line(files: Files, item: Item) -> Line:
    lines = files.lines(item.path)
    return lines[min(item.line, len(lines)) - 1] if lines else Line(item.path, item.line, "")


def _sections(files: Files, path: str) -> dict[str, list[Setting]]:
    """Read an INI file whose sections and keys may repeat: those of a section together."""
    found: dict[str, list[Setting]] = {}
    section = ""
    for line in uncommented(files.lines(path), "#;"):
        text = line.text.strip()
        if text.startswith("[") and text.endswith("]"):
            section = text[1:-1].strip().lower()
            found.setdefault(section, [])
        elif "=" in text:
            key, _, value = text.partition("=")
            found.setdefault(section, []).append(Setting(key.strip().lower(), value.strip(), line))
    return found


def _value(entries: list[Setting], *keys: str) -> Setting | None:
    return next((one for one in reversed(entries) if one.key in keys and one.value), None)


def _keyfiles(files: Files) -> Iterator[Interface]:
    folders = (
        "/etc/NetworkManager/system-connections",
        "/usr/lib/NetworkManager/system-connections",
    )
    for path in files.drop_ins(folders, "*"):
        if not files.tree.is_file(path):
            continue
        parts = _sections(files, path)
        connection = parts.get("connection", [])
        kind = _value(connection, "type")
        if kind is not None and kind.value not in ("ethernet", "802-3-ethernet"):
            continue
        ip = parts.get("ipv4", [])
        method = _value(ip, "method")
        manual = method is not None and method.value == "manual"
        name = _value(connection, "interface-name")
        cards = [*parts.get("ethernet", []), *parts.get("802-3-ethernet", [])]
        mac = _value(cards, "mac-address")
        yield Interface(
            "NetworkManager",
            "" if name is None else name.value,
            method is None or method.value == "auto",
            method.line if manual and method is not None else None,
            None if mac is None else mac.line,
            Line(path, 1, ""),
        )


def _networkd(files: Files) -> Iterator[Interface]:
    folders = ("/etc/systemd/network", "/usr/lib/systemd/network", "/lib/systemd/network")
    for path in files.drop_ins(folders, "*.network"):
        if files.tree.read_link(path) == "/dev/null":
            continue
        parts = _sections(files, path)
        match = parts.get("match", [])
        if any(one.key in ("kind", "driver", "virtualization") for one in match):
            continue
        kind = _value(match, "type")
        if kind is not None and "ether" not in kind.value.split():
            continue
        mac = _value(match, "macaddress", "permanentmacaddress")
        name = _value(match, "name", "originalname")
        network = parts.get("network", [])
        dhcp = _value(network, "dhcp")
        on = dhcp is not None and dhcp.value.lower() in (
            "yes",
            "true",
            "ipv4",
            "both",
            "v4",
            "on",
            "1",
        )
        address = _value([*network, *parts.get("address", [])], "address")
        fixed = address is not None and ":" not in address.value and not on
        for one in name.value.split() if name is not None else [""]:
            yield Interface(
                "systemd-networkd",
                one,
                on,
                address.line if fixed and address is not None else None,
                None if mac is None else mac.line,
                Line(path, 1, ""),
            )


def link_macs(files: Files) -> list[Line]:
    """Return the lines by which networkd's .link files name a card by its hardware address."""
    folders = ("/etc/systemd/network", "/usr/lib/systemd/network", "/lib/systemd/network")
    lines = []
    for path in files.drop_ins(folders, "*.link"):
        mac = _value(_sections(files, path).get("match", []), "macaddress", "permanentmacaddress")
        if mac is not None:
            lines.append(mac.line)
    return lines


def _ifupdown(files: Files) -> Iterator[Interface]:
    main = "/etc/network/interfaces"
    pending = [main]
    seen: set[str] = set()
    while pending:
        path = pending.pop(0)
        if path in seen or len(seen) > 256:
            continue
        seen.add(path)
        current: Line | None = None
        words: list[str] = []
        mac: Line | None = None
        static: Line | None = None
        for line in [*uncommented(files.lines(path)), Line(path, 0, "end")]:
            parts = line.text.split()
            if parts[0] in ("iface", "auto", "source", "source-directory", "mapping", "end") or (
                parts[0].startswith("allow-")
            ):
                if current is not None and words[2:3] == ["inet"]:
                    method = words[3] if len(words) > 3 else ""
                    fixed = (static or current) if method == "static" else None
                    yield Interface("interfaces", words[1], method == "dhcp", fixed, mac, current)
                current, mac, static = None, None, None
            if parts[0] == "iface" and len(parts) > 1:
                current, words = line, parts
            elif parts[0] == "hwaddress":
                mac = line
            elif parts[0] == "address":
                static = line
            elif parts[0] in ("source", "source-directory") and len(parts) > 1:
                absolute = posixpath.join("/etc/network", parts[1])
                if parts[0] == "source-directory":
                    absolute += "/*"
                pending += [one for one in files.glob(absolute) if files.tree.is_file(one)]


def _rc_conf(files: Files) -> Iterator[Interface]:
    for path in ("/etc/rc.conf", "/etc/rc.conf.local"):
        for key, setting in settings(files.lines(path)).items():
            found = re.fullmatch(r"ifconfig_([a-z]+\d+)", key)
            if found:
                dhcp = (
                    "DHCP" in setting.value.upper().split() or "SYNCDHCP" in setting.value.upper()
                )
                static = None if dhcp or "inet " not in setting.value else setting.line
                yield Interface("rc.conf", found.group(1), dhcp, static, None, setting.line)


def persistent_net_rules(files: Files) -> list[Line]:
    """Return the lines of udev's rules that name cards of the machine they were written on."""
    lines: list[Line] = []
    for path in files.paths("/etc/udev/rules.d", "*-persistent-net.rules"):
        if files.tree.read_link(path) != "/dev/null":
            lines += uncommented(files.lines(path))
    return lines
