"""Server roles and features, found by Server Manager's cache, services, files and keys."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from vhdtool.guest.windows.services import Start

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.windows.guest import WindowsGuest

# One key for each component, named as Get-WindowsFeature names it; Windows Server 2012 and later.
COMPONENT_CACHE = r"Microsoft\ServerManager\ServicingStorage\ServerComponentCache"
_INSTALLED = 1


class Mark(StrEnum):
    """What shows a role."""

    COMPONENT = "component"
    SERVICE = "service"
    FILE = "file"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class RoleMark:
    """One mark of a role; `where` is a component's, service's or key's name, or a path."""

    kind: Mark
    where: str


@dataclass(frozen=True, slots=True)
class RoleSigns:
    """How a role is recognised."""

    title: str
    components: tuple[str, ...] = ()
    services: tuple[str, ...] = ()  # a name ending in * is a beginning
    files: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()  # of SOFTWARE


@dataclass(frozen=True, slots=True)
class Role:
    """A role that is there, or seems to be."""

    name: str
    title: str
    marks: tuple[RoleMark, ...]

    @property
    def is_certain(self) -> bool:
        """Whether Server Manager lists it as installed, or two different kinds of marks agree.

        A lone service may be a leftover of a role that was removed.
        """
        kinds = {mark.kind for mark in self.marks}
        return Mark.COMPONENT in kinds or len(kinds) > 1


ROLES = {
    "AD-Domain-Services": RoleSigns(
        "Active Directory Domain Services",
        ("AD-Domain-Services",),
        ("NTDS",),
        ("/Windows/NTDS/ntds.dit",),
    ),
    "AD-Certificate": RoleSigns(
        "Active Directory Certificate Services",
        ("AD-Certificate", "ADCS-Cert-Authority"),
        ("CertSvc",),
        ("/Windows/System32/CertLog",),
    ),
    "ADFS-Federation": RoleSigns(
        "Active Directory Federation Services",
        ("ADFS-Federation",),
        ("adfssrv",),
        ("/Windows/ADFS/Microsoft.IdentityServer.ServiceHost.exe",),
    ),
    "ADLDS": RoleSigns(
        "Active Directory Lightweight Directory Services",
        ("ADLDS",),
        ("ADAM_*",),
        ("/Windows/ADAM/dsamain.exe",),
    ),
    "ADRMS": RoleSigns(
        "Active Directory Rights Management Services",
        ("ADRMS", "ADRMS-Server"),
        keys=(r"Microsoft\DRMS",),
    ),
    "DHCP": RoleSigns(
        "DHCP Server", ("DHCP",), ("DHCPServer",), ("/Windows/System32/dhcp/dhcp.mdb",)
    ),
    "DNS": RoleSigns("DNS Server", ("DNS",), ("DNS",), ("/Windows/System32/dns.exe",)),
    "Fax": RoleSigns("Fax Server", ("Fax",), ("Fax",), ("/Windows/System32/FXSSVC.exe",)),
    "File-Services": RoleSigns(
        "File and iSCSI Services",
        ("FS-Resource-Manager", "FS-DFS-Replication", "FS-DFS-Namespace", "FS-iSCSITarget-Server"),
        ("srmsvc", "DFSR"),
    ),
    "Hyper-V": RoleSigns("Hyper-V", ("Hyper-V",), ("vmms",), ("/Windows/System32/vmms.exe",)),
    "NPAS": RoleSigns(
        "Network Policy and Access Services",
        ("NPAS", "NPAS-Policy-Server", "NPAS-Health"),
        ("IAS",),
    ),
    "RemoteAccess": RoleSigns(
        "Remote Access", ("RemoteAccess", "DirectAccess-VPN", "Routing"), ("RemoteAccess",)
    ),
    "Print-Services": RoleSigns("Print and Document Services", ("Print-Services", "Print-Server")),
    "Remote-Desktop-Services": RoleSigns(
        "Remote Desktop Services",
        (
            "Remote-Desktop-Services",
            "RDS-RD-Server",
            "RDS-Connection-Broker",
            "RDS-Gateway",
            "RDS-Licensing",
            "RDS-Web-Access",
        ),
        ("Tssdis", "TermServLicensing"),
    ),
    "Streaming-Media": RoleSigns("Streaming Media Services", (), ("WMServer",)),
    "VolumeActivation": RoleSigns("Volume Activation Services", ("VolumeActivation",)),
    "Web-Server": RoleSigns(
        "Web Server (IIS)",
        ("Web-Server",),
        ("W3SVC",),
        ("/Windows/System32/inetsrv/w3wp.exe",),
    ),
    "WDS": RoleSigns(
        "Windows Deployment Services",
        ("WDS", "WDS-Deployment", "WDS-Transport"),
        ("WDSServer",),
        ("/Windows/System32/wdssrv.dll",),
    ),
    "UpdateServices": RoleSigns(
        "Windows Server Update Services",
        ("UpdateServices", "UpdateServices-Services"),
        ("WsusService",),
        keys=(r"Microsoft\Update Services\Server\Setup",),
    ),
    "Application-Server": RoleSigns("Application Server", ("Application-Server",)),
    "Failover-Clustering": RoleSigns(
        "Failover Clustering",
        ("Failover-Clustering",),
        ("ClusSvc",),
        ("/Windows/Cluster/clussvc.exe",),
    ),
    "WINS": RoleSigns("WINS Server", ("WINS",), ("WINS",)),
    "SNMP-Service": RoleSigns("SNMP Service", ("SNMP-Service",), ("SNMP",)),
    "ISNS": RoleSigns("iSNS Server service", ("ISNS",), ("MSiSNS",)),
    "Multipath-IO": RoleSigns("Multipath I/O", ("Multipath-IO",)),
    "NLB": RoleSigns("Network Load Balancing", ("NLB",), ("WLBS",)),
    "PNRP": RoleSigns("Peer Name Resolution Protocol", ("PNRP",)),
    "Wireless-Networking": RoleSigns("Wireless LAN Service", ("Wireless-Networking",)),
}


def find_roles(guest: WindowsGuest) -> dict[str, Role]:
    """Return the roles of a server by name; none of a client, which has no roles."""
    if not guest.product.is_server:
        return {}
    found = {}
    for name, signs in ROLES.items():
        marks = tuple(_marks(guest, signs))
        if marks:
            found[name] = Role(name, signs.title, marks)
    return found


def _marks(guest: WindowsGuest, signs: RoleSigns) -> Iterator[RoleMark]:
    software = guest.software
    for component in signs.components:
        state = None
        if software is not None:
            state = software.number(rf"{COMPONENT_CACHE}\{component}", "InstallState")
        if state == _INSTALLED:
            yield RoleMark(Mark.COMPONENT, component)
    for wanted in signs.services:
        beginning = wanted.lower().removesuffix("*")
        for name, service in guest.services.items():
            fits = name.startswith(beginning) if wanted.endswith("*") else name == beginning
            if fits and service.start not in (None, Start.DISABLED):
                yield RoleMark(Mark.SERVICE, service.name)
    for path in signs.files:
        if guest.tree.exists(path):
            yield RoleMark(Mark.FILE, path)
    for key in signs.keys:
        if software is not None and software.key(key) is not None:
            yield RoleMark(Mark.KEY, key)
