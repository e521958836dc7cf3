"""Releases, editions and updates of Windows, and Azure's agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.guest.windows.pe import file_version
from vhdtool.guest.windows.product import (
    CURRENT_VERSION,
    SERVER_2016,
    WINDOWS_7,
    WINDOWS_8,
    WINDOWS_8_1,
    WINDOWS_10,
)
from vhdtool.guest.windows.services import Start
from vhdtool.rules.windows.declare import ERROR, INFO, WARNING, windows_rule
from vhdtool.rules.windows.hits import described, file_hit, key_hit, quoted, value_hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.windows.guest import WindowsGuest
    from vhdtool.rules.model import Hit

    Version = tuple[int, int, int, int]

_DRIVERS = "/Windows/System32/drivers"
_DRIVER_LIMIT = 16 << 20
_LEAST_AGENT = (2, 7, 41491, 1010)
_OTHER_EDITIONS = ("serversolution", "serverfoundation", "starter")
# The least versions of Azure's guide, by build. Of 2012 those of the branch with fixes only.
_LEAST_DRIVERS: dict[int, dict[str, Version]] = {
    7601: {
        "disk.sys": (6, 1, 7601, 23403),
        "storport.sys": (6, 1, 7601, 23403),
        "ntfs.sys": (6, 1, 7601, 23403),
    },
    9200: {"disk.sys": (6, 2, 9200, 17638), "ntfs.sys": (6, 2, 9200, 17623)},
    9600: {
        "disk.sys": (6, 3, 9600, 18203),
        "storport.sys": (6, 3, 9600, 18573),
        "ntfs.sys": (6, 3, 9600, 18654),
    },
    14393: {"storport.sys": (10, 0, 14393, 1358), "ntfs.sys": (10, 0, 14393, 1198)},
}
_LEAST_INTEGRATION: dict[int, Version] = {
    7601: (6, 3, 9600, 18907),
    9200: (6, 3, 9600, 18080),
    9600: (6, 3, 9600, 18907),
}


def dotted(version: tuple[int, ...]) -> str:
    """Write a version: `6.3.9600.18573`."""
    return ".".join(str(part) for part in version)


def driver_version(guest: WindowsGuest, name: str) -> Version | None:
    """Return the version of a driver's file; None where it is missing or has none."""
    data = guest.tree.read(f"{_DRIVERS}/{name}", _DRIVER_LIMIT)
    return None if data is None else file_version(data)


@windows_rule("WIN440", "evaluation-or-preview", ERROR)
def evaluation_or_preview(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Windows is no evaluation edition (EditionID ends in Eval). A preview build is a warning.

    ## Why it matters
    Evaluations end: Windows then shuts down every hour, and previews stop with 0xc0000605.

    ## How to fix
    Convert the edition with `DISM /Set-Edition`, or install from other media.

    ## Source
    - MicrosoftDocs/SupportArticles-docs, page on the error code 0xc0000605
    - Names of editions are those of `DISM /Set-Edition`: ServerDatacenterEval, EnterpriseEval.
    Previews are built from a branch called prerelease.
    """
    software, product = guest.software, guest.product
    if software is None:
        return
    if product.edition.lower().endswith(("eval", "evalcor")):
        message = f"EditionID is {quoted(product.edition)}, expected a full edition"
        yield value_hit(software, CURRENT_VERSION, "EditionID", message)
    if "prerelease" in product.lab.lower():
        message = f"this is a preview build: {quoted(product.lab)}"
        yield value_hit(software, CURRENT_VERSION, "BuildLabEx", message, WARNING)


@windows_rule("WIN441", "release-not-supported", WARNING)
def release_not_supported(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    This is Windows Server 2016 or Windows 10, or a later one. Before Windows 7 and Server 2008 R2
    it is an error.

    ## Why it matters
    Azure's current agent does not support earlier ones; before 6.1 they cannot be deployed at all.

    ## How to fix
    Upgrade, then prepare the image.

    ## Source
    - Azure, "Azure Virtual Machine Agent overview"; "Prepare a Windows VHD or VHDX"
    """
    software, product = guest.software, guest.product
    least = SERVER_2016 if product.is_server else WINDOWS_10
    if software is not None and product.build is not None and product.build < least:
        wanted = "Windows Server 2016" if product.is_server else "Windows 10"
        name = quoted(product.name) or "Windows"
        message = f"this is {name}, build {product.build}, expected {wanted} ({least}) or later"
        severity = ERROR if product.build < WINDOWS_7 else None
        yield value_hit(software, CURRENT_VERSION, "CurrentBuild", message, severity)


@windows_rule("WIN442", "unusual-edition", INFO)
def unusual_edition(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The edition is none that Azure is not meant for: Essentials, Foundation, Starter, Home.

    ## Why it matters
    Clients need Enterprise, Pro or Education and rights for multitenant hosting; Essentials wants
    to be the domain controller.

    ## How to fix
    Use another edition.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    - Names of editions are Microsoft's; Core and its kin are Home.
    """
    software, edition = guest.software, guest.product.edition.lower()
    is_home = edition.startswith("core") and guest.product.is_server is False
    if software is not None and (edition.startswith(_OTHER_EDITIONS) or is_home):
        message = f"EditionID is {quoted(guest.product.edition)}, which is not meant for Azure"
        yield value_hit(software, CURRENT_VERSION, "EditionID", message)


@windows_rule("WIN443", "no-vm-agent", WARNING)
def no_vm_agent(guest: WindowsGuest) -> Iterator[Hit]:
    r"""
    ## What it checks
    Azure's VM agent is there: the services RdAgent and WindowsAzureGuestAgent start automatically,
    and their programs exist.

    ## Why it matters
    Without it there are no extensions, no password resets, no backups.

    ## How to fix
    Install the agent, or copy its services and \WindowsAzure\GuestAgent_* from another machine.

    ## Source
    - Azure, "Azure Virtual Machine Agent overview"
    - MicrosoftDocs/SupportArticles-docs, install-vm-agent-offline
    """
    if not guest.services:
        return
    known = {service.name.lower(): service for service in guest.agent.services}
    missing = [name for name in ("RdAgent", "WindowsAzureGuestAgent") if name.lower() not in known]
    if missing:
        message = f"Azure's VM agent is not installed: no service {' and no '.join(missing)}"
        yield file_hit("/WindowsAzure", message)
    for service in known.values():
        if service.start not in (None, Start.AUTOMATIC):
            value = described(service.key.value("Start"))
            message = f"Start of {service.name} {value}, expected 2 (automatic)"
            yield key_hit(service.key, message, "Start")
        elif service.file and not guest.tree.exists(service.file):
            message = f"the program of {service.name}, {quoted(service.file)}, is missing"
            yield key_hit(service.key, message, "ImagePath")


@windows_rule("WIN444", "old-vm-agent", WARNING)
def old_vm_agent(guest: WindowsGuest) -> Iterator[Hit]:
    r"""
    ## What it checks
    The newest \WindowsAzure\GuestAgent_* is version 2.7.41491.1010 or later.

    ## Why it matters
    Azure does not support earlier ones; it may refuse extensions.

    ## How to fix
    Install a current agent.

    ## Source
    - Azure, "Azure Virtual Machine Agent overview"; "Minimum version support for agents"
    """
    agent = guest.agent
    if agent.version is not None and agent.version < _LEAST_AGENT:
        message = f"the agent is version {dotted(agent.version)}, expected {dotted(_LEAST_AGENT)}"
        yield file_hit(agent.folders[0][0], f"{message} or later")


@windows_rule("WIN451", "old-storage-driver", WARNING)
def old_storage_driver(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    disk.sys, storport.sys and ntfs.sys of Windows Server 2008 R2 to 2016 have at least the versions
    that Azure's guide lists.

    ## Why it matters
    Earlier ones have faults that were seen in Azure: disks that time out, volumes that get lost.

    ## How to fix
    Install the updates that the guide names, or all current ones.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure", table of least versions
    - Later releases are not on the table; which updates are current cannot be told offline.
    """
    for name, least in _LEAST_DRIVERS.get(guest.product.build or 0, {}).items():
        version = driver_version(guest, name)
        if version is not None and version[:3] == least[:3] and version < least:
            message = f"{name} is version {dotted(version)}, expected {dotted(least)} or later"
            yield file_hit(f"{_DRIVERS}/{name}", message)


@windows_rule("WIN452", "old-integration-components", INFO)
def old_integration_components(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    vmstorfl.sys of Windows Server 2008 R2 to 2012 R2 has the version that Azure's guide lists.

    ## Why it matters
    The integration components of these releases are not kept up by Windows Update alone.

    ## How to fix
    Install KB4072650 (of 2012: KB3063109).

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure", table of least versions
    """
    build = guest.product.build
    least = None if build is None else _LEAST_INTEGRATION.get(build)
    if build not in (WINDOWS_7 + 1, WINDOWS_8, WINDOWS_8_1) or least is None:
        return
    version = driver_version(guest, "vmstorfl.sys")
    if version is not None and version < least:
        message = f"vmstorfl.sys is version {dotted(version)}, expected {dotted(least)} or later"
        yield file_hit(f"{_DRIVERS}/vmstorfl.sys", message)
