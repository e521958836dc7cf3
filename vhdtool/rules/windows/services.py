"""Services that must run for a machine to start and to be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.guest.windows.services import Start
from vhdtool.rules.windows.declare import ERROR, GENERALIZED, INFO, WARNING, windows_rule
from vhdtool.rules.windows.hits import key_hit, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.windows.guest import WindowsGuest
    from vhdtool.rules.model import Hit

# Services that no network works without.
_NETWORK = frozenset(("bfe", "dnscache", "nsi", "mpssvc"))
_AUTOMATIC = ("BFE", "Dnscache", "IKEEXT", "iphlpsvc", "nsi", "mpssvc", "RemoteRegistry")
_STARTED_BY_EVENTS = frozenset(("ikeext", "remoteregistry"))
_MANUAL = ("Netlogon", "Netman", "TermService")
_VITAL = ("RpcSs", "RpcEptMapper", "DcomLaunch", "LSM", "SamSs", "PlugPlay", "ProfSvc")
_CORE = ("EventLog", "gpsvc", "Winmgmt", "NetSetupSvc", "NlaSvc", "CryptSvc")
_OWN_PROCESS, _SHARED_PROCESS = 0x10, 0x20


def _start_name(start: int) -> str:
    names = {0: "boot", 1: "system", 2: "automatic", 3: "manual", 4: "disabled"}
    return f"{start} ({names[start]})" if start in names else str(start)


@windows_rule("WIN408", "service-not-automatic", WARNING)
def service_not_automatic(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    BFE, Dnscache, IKEEXT, iphlpsvc, nsi, mpssvc and RemoteRegistry start automatically (Start 2).
    BFE, Dnscache, nsi or mpssvc disabled is an error; IKEEXT and RemoteRegistry are only told, as
    fresh installations differ.

    ## Why it matters
    Without them there is no name resolution, no firewall that can be set, or no network at all.

    ## How to fix
    Set Start to 2.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    - Fresh clients have IKEEXT 3 and RemoteRegistry 4. Dhcp, also on Azure's list, is WIN410's.
    """
    for name in _AUTOMATIC:
        service = guest.services.get(name.lower())
        if service is None or service.start is None or service.start <= Start.AUTOMATIC:
            continue
        severity = None
        if name.lower() in _STARTED_BY_EVENTS:
            severity = INFO
        elif service.start == Start.DISABLED and name.lower() in _NETWORK:
            severity = ERROR
        message = f"{name} has Start {_start_name(service.start)}, expected 2 (automatic)"
        yield key_hit(service.key, message, "Start", severity)


@windows_rule("WIN409", "service-disabled", ERROR)
def service_disabled(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Netlogon, Netman and TermService are not disabled (Start 4).

    ## Why it matters
    Without TermService there is no remote desktop; the others are needed to log on and to set up
    the network.

    ## How to fix
    Set Start to 3, or to 2.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    """
    for name in _MANUAL:
        service = guest.services.get(name.lower())
        if service is not None and service.start == Start.DISABLED:
            message = f"{name} has Start 4 (disabled), expected 3 (manual) or 2 (automatic)"
            yield key_hit(service.key, message, "Start")


@windows_rule("WIN410", "dhcp-client-broken", ERROR)
def dhcp_client_broken(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The DHCP client (service Dhcp) starts automatically, runs as LocalService in a process of
    services (Type 0x10 or 0x20), and depends on NSI and Afd.

    ## Why it matters
    Azure gives machines their addresses by DHCP. Without its client a machine has no network.

    ## How to fix
    Set Start 2, Type 0x20, ObjectName `NT Authority\\LocalService` and DependOnService as in a
    fresh installation of the same release.

    ## Source
    - Azure/repair-script-library, src/windows/win-dhcp-fix.ps1
    - Sample hives of Windows 7 and later
    """
    service = guest.services.get("dhcp")
    if service is None:
        return
    key = service.key
    if service.start not in (None, Start.AUTOMATIC):
        message = f"Dhcp has Start {_start_name(service.start or 0)}, expected 2 (automatic)"
        severity = None if service.start == Start.DISABLED else WARNING
        yield key_hit(key, message, "Start", severity)
    account = key.text("ObjectName")
    if account is not None and account.lower() != r"nt authority\localservice":
        message = rf'Dhcp runs as "{quoted(account)}", expected NT Authority\LocalService'
        yield key_hit(key, message, "ObjectName")
    if service.kind is not None and not service.kind & (_OWN_PROCESS | _SHARED_PROCESS):
        message = f"Dhcp has Type {service.kind:#x}, expected 0x20 or 0x10"
        yield key_hit(key, message, "Type")
    depends = key.value("DependOnService")
    names = {name.lower() for name in (None if depends is None else depends.strings) or ()}
    missing = [name for name in ("NSI", "Afd") if name.lower() not in names]
    if depends is not None and missing:
        message = f"Dhcp does not depend on {' and '.join(missing)}, expected NSI and Afd"
        yield key_hit(key, message, "DependOnService")


@windows_rule("WIN411", "core-service-disabled", ERROR)
def core_service_disabled(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    None of the services that Windows is built on is disabled: RpcSs, RpcEptMapper, DcomLaunch, LSM,
    SamSs, PlugPlay, ProfSvc. EventLog, gpsvc, Winmgmt, NetSetupSvc, NlaSvc and CryptSvc are
    warnings.

    ## Why it matters
    Nobody can log on, or Windows does not even get that far.

    ## How to fix
    Set Start as in a fresh installation of the same release.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure", for services in general
    - That log-ons fail without the former follows from what depends on them in every hive; no page
    states it for the latter, hence warnings.
    """
    for name in (*_VITAL, *_CORE):
        service = guest.services.get(name.lower())
        if service is not None and service.start == Start.DISABLED:
            severity = None if name in _VITAL else WARNING
            yield key_hit(
                service.key,
                f"{name} has Start 4 (disabled), expected it to start",
                "Start",
                severity,
            )


@windows_rule("WIN417", "cd-rom-driver-disabled", ERROR, GENERALIZED)
def cd_rom_driver_disabled(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The driver cdrom is not disabled.

    ## Why it matters
    Azure hands over what to provision on a DVD. Windows that cannot read it stops in the
    out-of-box experience, and the deployment times out.

    ## How to fix
    Set Start to 1.

    ## Source
    - MicrosoftDocs/SupportArticles-docs, Azure VM troubleshooting pages
    - Sample hives have 1.
    """
    service = guest.services.get("cdrom")
    if service is not None and service.start == Start.DISABLED:
        yield key_hit(service.key, "cdrom has Start 4 (disabled), expected 1 (system)", "Start")


@windows_rule("WIN455", "no-administration-console", INFO)
def no_administration_console(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    A server has the Special Administration Console: the services sacsvr (not disabled) and sacdrv.

    ## Why it matters
    It is what Azure's serial console talks to when the network is broken.

    ## How to fix
    Set sacsvr's Start to 2 and enable EMS in the boot data (WIN430).

    ## Source
    - Azure/repair-script-library, src/windows/win-sac-enabler.ps1
    - Clients do not have it, and are not judged.
    """
    if not guest.product.is_server or guest.system is None or not guest.services:
        return
    root = next(iter(guest.services.values())).key.registry.key(r"CurrentControlSet\Services")
    for name in ("sacsvr", "sacdrv"):
        service = guest.services.get(name)
        if service is None and root is not None:
            yield key_hit(root, f"the service {name} is missing, expected on a server")
        elif service is not None and service.start == Start.DISABLED:
            yield key_hit(
                service.key, f"{name} has Start 4 (disabled), expected it to start", "Start"
            )
