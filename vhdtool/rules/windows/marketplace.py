"""What the Azure Marketplace asks of Windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.guest.windows.services import Start
from vhdtool.rules.windows.declare import ERROR, MARKETPLACE, WARNING, windows_rule
from vhdtool.rules.windows.hits import file_hit, key_hit, value_hit
from vhdtool.rules.windows.releases import dotted, driver_version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.windows.guest import WindowsGuest
    from vhdtool.rules.model import Hit

_SMB = "/Windows/System32/drivers/srv.sys"
# The first versions with the fix of MS17-010, by build.
_LEAST_SMB = {
    7601: (6, 1, 7601, 23689),
    9200: (6, 2, 9200, 22099),
    9600: (6, 3, 9600, 18604),
    14393: (10, 0, 14393, 953),
}
_UPDATE_POLICY = r"Policies\Microsoft\Windows\WindowsUpdate\AU"
_AZURE = r"Microsoft\Windows Azure"


@windows_rule("MKT619", "smb-server-not-patched", ERROR, MARKETPLACE)
def smb_server_not_patched(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    srv.sys of Windows Server 2008 R2 to 2016 has the fix of MS17-010 (WannaCry), by its version.

    ## Why it matters
    Certification refuses the image.

    ## How to fix
    Install a cumulative update of March 2017 or later.

    ## Source
    - Azure Marketplace, "VM certification FAQ", table of versions
    """
    least = _LEAST_SMB.get(guest.product.build or 0)
    version = None if least is None else driver_version(guest, "srv.sys")
    if least is None or version is None or version[:3] != least[:3]:
        return
    if version < least:
        message = f"srv.sys is version {dotted(version)}, expected {dotted(least)} or later"
        yield file_hit(_SMB, message)


@windows_rule("MKT620", "automatic-updates-off", WARNING, MARKETPLACE)
def automatic_updates_off(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    No policy switches automatic updates off (NoAutoUpdate), and the service wuauserv is not
    disabled.

    ## Why it matters
    Machines of the image stay as old as it is.

    ## How to fix
    Delete NoAutoUpdate, and set wuauserv's Start to 3.

    ## Source
    - Azure, "Security recommendations for Azure Marketplace images"
    """
    software = guest.software
    number = None if software is None else software.number(_UPDATE_POLICY, "NoAutoUpdate")
    if software is not None and number == 1:
        message = "NoAutoUpdate is 1, expected 0 or no such policy"
        yield value_hit(software, _UPDATE_POLICY, "NoAutoUpdate", message)
    service = guest.services.get("wuauserv")
    if service is not None and service.start == Start.DISABLED:
        yield key_hit(service.key, "wuauserv has Start 4 (disabled), expected 3 (manual)", "Start")


@windows_rule("MKT622", "base-not-from-azure", WARNING, MARKETPLACE)
def base_not_from_azure(guest: WindowsGuest) -> Iterator[Hit]:
    r"""
    ## What it checks
    Windows has a trace of a machine in Azure: its agent's key SOFTWARE\Microsoft\Windows Azure, or
    files of a provisioning.

    ## Why it matters
    For licensing, offers must be made from a Windows image of the Marketplace. One that was
    installed from other media has no such trace.

    ## How to fix
    Start from an image of the Marketplace.

    ## Source
    - Azure Marketplace, "VM certification FAQ"
    - The agent alone can be installed anywhere: a trace proves nothing, a missing one says more.
    """
    software, agent = guest.software, guest.agent
    if software is None or agent.provisioned or agent.has_logs:
        return
    if software.key(_AZURE) is None:
        message = "there is no trace that this Windows ever ran in Azure"
        yield value_hit(software, _AZURE, "", message)
