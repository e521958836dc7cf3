"""Server roles that Sysprep does not support, or only under conditions."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from vhdtool.guest.windows.product import WINDOWS_7, WINDOWS_8
from vhdtool.guest.windows.roles import COMPONENT_CACHE, Mark
from vhdtool.rules.windows.declare import ERROR, GENERALIZED, INFO, WARNING, windows_rule
from vhdtool.rules.windows.hits import file_hit, key_hit, listed, value_hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.windows.guest import WindowsGuest
    from vhdtool.guest.windows.roles import Role
    from vhdtool.rules.model import Hit, Severity


class Support(StrEnum):
    """What Microsoft's table says of Sysprep and a role."""

    YES = "supported"
    NO = "not supported"
    SILENT = "without a statement"


_Y, _N, _S = Support.YES, Support.NO, Support.SILENT
# Of Windows Server 2008, 2008 R2, 2012 and later. The table ends with 2012.
SYSPREP_SUPPORT = {
    "AD-Domain-Services": (_N, _N, _N),
    "AD-Certificate": (_N, _N, _N),
    "ADFS-Federation": (_N, _N, _N),
    "ADLDS": (_N, _N, _N),
    "ADRMS": (_N, _N, _N),
    "Application-Server": (_Y, _Y, _Y),
    "DHCP": (_Y, _N, _N),
    "DNS": (_S, _S, _S),
    "Fax": (_N, _N, _N),
    "File-Services": (_N, _Y, _Y),
    "Hyper-V": (_N, _Y, _Y),
    "NPAS": (_N, _N, _N),
    "Print-Services": (_N, _Y, _Y),
    "RemoteAccess": (_Y, _S, _S),
    "Remote-Desktop-Services": (_Y, _Y, _Y),
    "Streaming-Media": (_N, _N, _S),
    "UpdateServices": (_N, _N, _N),
    "VolumeActivation": (_S, _S, _S),
    "WDS": (_N, _N, _Y),
    "Web-Server": (_Y, _Y, _Y),
}


def support(name: str, build: int | None) -> Support:
    """Return what the table says of a role on a release; of an unknown one as of the latest."""
    columns = SYSPREP_SUPPORT[name]
    if build is None or build >= WINDOWS_8:
        return columns[2]
    return columns[1] if build >= WINDOWS_7 else columns[0]


def role_hit(
    guest: WindowsGuest, role: Role, message: str, severity: Severity | None = None
) -> Iterator[Hit]:
    """Hit the first mark of a role; a lone service is only told."""
    mark = role.marks[0]
    if not role.is_certain:
        severity = INFO
        message = f"{message}; only one mark of it was found"
    software = guest.software
    if mark.kind is Mark.SERVICE:
        yield key_hit(guest.services[mark.where.lower()].key, message, "Start", severity)
    elif mark.kind is Mark.FILE:
        yield file_hit(mark.where, message, severity=severity)
    elif software is not None and mark.kind is Mark.COMPONENT:
        path = rf"{COMPONENT_CACHE}\{mark.where}"
        yield value_hit(software, path, "InstallState", message, severity)
    elif software is not None:
        key = software.key(mark.where)
        if key is not None:
            yield key_hit(key, message, severity=severity)


def judged(guest: WindowsGuest, name: str) -> Iterator[Hit]:
    """Hit a role that the table does not support on this release, or is silent about."""
    role = guest.roles.get(name)
    if role is None:
        return
    product = guest.product
    said = support(name, product.build)
    if said is Support.YES:
        return
    release = f"Windows Server {product.server_release or 'of this build'}"
    marks = listed([f"{mark.kind} {mark.where}" for mark in role.marks])
    message = f"{role.title} is installed ({marks}), for Sysprep {said} on {release}"
    yield from role_hit(guest, role, message, WARNING if said is Support.SILENT else None)


@windows_rule("ROL501", "ad-domain-services", ERROR, GENERALIZED)
def ad_domain_services(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Active Directory Domain Services is not installed where Sysprep does not support it.

    ## Why it matters
    A controller's database and identity cannot be copied: Sysprep refuses to run.

    ## How to fix
    Demote the controller and remove the role.

    ## Source
    - Microsoft, "Sysprep Support for Server Roles"
    - ProductType LanmanNT is WIN450's.
    """
    yield from judged(guest, "AD-Domain-Services")


@windows_rule("ROL502", "ad-certificate-services", ERROR, GENERALIZED)
def ad_certificate_services(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Active Directory Certificate Services is not installed where Sysprep does not support it.

    ## Why it matters
    The authority's name and keys are bound to the machine: machines of the image issue certificates
    nobody trusts, or none.

    ## How to fix
    Remove the role before sealing; install it in the new machine.

    ## Source
    - Microsoft, "Sysprep Support for Server Roles"
    """
    yield from judged(guest, "AD-Certificate")


@windows_rule("ROL503", "ad-federation-services", ERROR, GENERALIZED)
def ad_federation_services(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Active Directory Federation Services is not installed where Sysprep does not support it.

    ## Why it matters
    Its configuration names the machine and its certificates.

    ## How to fix
    Remove the role before sealing.

    ## Source
    - Microsoft, "Sysprep Support for Server Roles"
    """
    yield from judged(guest, "ADFS-Federation")


@windows_rule("ROL504", "ad-lightweight-directory-services", ERROR, GENERALIZED)
def ad_lightweight_directory_services(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Active Directory Lightweight Directory Services is not installed where Sysprep does not support
    it.

    ## Why it matters
    Instances are bound to the machine that they were made on.

    ## How to fix
    Remove the instances and the role before sealing.

    ## Source
    - Microsoft, "Sysprep Support for Server Roles"
    """
    yield from judged(guest, "ADLDS")


@windows_rule("ROL505", "ad-rights-management-services", ERROR, GENERALIZED)
def ad_rights_management_services(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Active Directory Rights Management Services is not installed where Sysprep does not support it.

    ## Why it matters
    The cluster's keys and its database name the machine.

    ## How to fix
    Remove the role before sealing.

    ## Source
    - Microsoft, "Sysprep Support for Server Roles"
    """
    yield from judged(guest, "ADRMS")


@windows_rule("ROL506", "dhcp-server", ERROR, GENERALIZED)
def dhcp_server(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    DHCP Server is not installed where Sysprep does not support it.

    ## Why it matters
    Its database and authorization are the machine's. In Azure the platform alone gives addresses.

    ## How to fix
    Remove the role before sealing.

    ## Source
    - Microsoft, "Sysprep Support for Server Roles"
    - Windows Server 2008 supports it, and is not judged.
    """
    yield from judged(guest, "DHCP")


@windows_rule("ROL507", "dns-server", WARNING, GENERALIZED)
def dns_server(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    DNS Server is not installed where Sysprep does not support it.

    ## Why it matters
    Its zones and records name the machine; it usually comes with a domain controller.

    ## How to fix
    Remove the role before sealing, unless its zones are meant for every machine.

    ## Source
    - Microsoft, "Sysprep Support for Server Roles"
    - The table has no statement on it, hence a warning.
    """
    yield from judged(guest, "DNS")


@windows_rule("ROL508", "fax-server", ERROR, GENERALIZED)
def fax_server(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Fax Server is not installed where Sysprep does not support it.

    ## Why it matters
    Its queue and devices are the machine's.

    ## How to fix
    Remove the role before sealing.

    ## Source
    - Microsoft, "Sysprep Support for Server Roles"
    """
    yield from judged(guest, "Fax")


@windows_rule("ROL511", "network-policy-server", ERROR, GENERALIZED)
def network_policy_server(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Network Policy and Access Services is not installed where Sysprep does not support it.

    ## Why it matters
    Its secrets and certificates are bound to the machine.

    ## How to fix
    Remove the role before sealing.

    ## Source
    - Microsoft, "Sysprep Support for Server Roles"
    """
    yield from judged(guest, "NPAS")


@windows_rule("ROL512", "remote-access-server", WARNING, GENERALIZED)
def remote_access_server(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Remote Access is not installed where Sysprep does not support it.

    ## Why it matters
    Its interfaces and routes are those of the machine it was set up on.

    ## How to fix
    Remove the role before sealing.

    ## Source
    - Microsoft, "Sysprep Support for Server Roles"
    - The table supports it for 2008 and has no statement on later releases, hence a warning.
    """
    yield from judged(guest, "RemoteAccess")


@windows_rule("ROL518", "update-services", ERROR, GENERALIZED)
def update_services(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Windows Server Update Services is not installed where Sysprep does not support it.

    ## Why it matters
    Its database and content are bound to the machine.

    ## How to fix
    Remove the role before sealing.

    ## Source
    - Microsoft, "Sysprep Support for Server Roles"
    """
    yield from judged(guest, "UpdateServices")
