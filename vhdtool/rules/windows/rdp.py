"""Remote desktop: the only way into a new Windows machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.guest.windows.product import CURRENT_VERSION
from vhdtool.rules.windows.declare import ERROR, INFO, WARNING, windows_rule
from vhdtool.rules.windows.hits import described, expect_number, value_hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.windows.guest import WindowsGuest
    from vhdtool.rules.model import Hit

TERMINAL_SERVER = r"CurrentControlSet\Control\Terminal Server"
RDP_TCP = rf"{TERMINAL_SERVER}\WinStations\RDP-Tcp"
POLICY = r"Policies\Microsoft\Windows NT\Terminal Services"
PORT = 3389
# Of policies and of RDP-Tcp: name and wanted value.
_KEEP_ALIVE = (("KeepAliveEnable", 1), ("KeepAliveInterval", 1), ("fDisableAutoReconnect", 0))
_RECONNECT = (
    ("KeepAliveTimeout", 1),
    ("fInheritReconnectSame", 1),
    ("fReconnectSame", 0),
    ("MaxInstanceCount", 0xFFFFFFFF),
)
# The first revisions with the fix of May 2018 for CVE-2018-0886, by build.
_CREDSSP_FIXED = {
    10240: 17861,
    14393: 2248,
    15063: 1088,
    16299: 431,
    17134: 48,
}


@windows_rule("WIN419", "remote-desktop-off", ERROR)
def remote_desktop_off(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Remote desktop is on: fDenyTSConnections is 0, in the policies where they set it, else in
    Control\\Terminal Server.

    ## Why it matters
    There is no other way to log on to a machine in Azure.

    ## How to fix
    Set fDenyTSConnections to 0; delete it from the policies.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"; Marketplace, "VM certification FAQ"
    - Azure/azure-diskinspect-service, manifests/windows/rdp-registry
    """
    software, system = guest.software, guest.system
    policy = None if software is None else software.number(POLICY, "fDenyTSConnections")
    if software is not None and policy is not None:
        if policy != 0:
            message = f"the policy fDenyTSConnections is {policy}, expected 0 or no such policy"
            yield value_hit(software, POLICY, "fDenyTSConnections", message)
    else:
        yield from expect_number(system, TERMINAL_SERVER, "fDenyTSConnections", 0)


@windows_rule("WIN420", "remote-desktop-port", ERROR)
def remote_desktop_port(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Remote desktop listens on TCP port 3389.

    ## Why it matters
    Azure's rules and portal expect it there.

    ## How to fix
    Set PortNumber to 3389.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    """
    yield from expect_number(guest.system, RDP_TCP, "PortNumber", PORT)


@windows_rule("WIN421", "remote-desktop-on-one-adapter", ERROR)
def remote_desktop_on_one_adapter(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Remote desktop listens on all adapters (LanAdapter 0), and its listener is on
    (fEnableWinStation 1).

    ## Why it matters
    The adapter that was chosen does not exist in Azure.

    ## How to fix
    Set LanAdapter to 0 and fEnableWinStation to 1.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    """
    yield from expect_number(guest.system, RDP_TCP, "LanAdapter", 0)
    yield from expect_number(guest.system, RDP_TCP, "fEnableWinStation", 1)


@windows_rule("WIN422", "no-network-level-authentication", WARNING)
def no_network_level_authentication(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Remote desktop asks for Network Level Authentication (UserAuthentication 1).

    ## Why it matters
    Without it whoever reaches the port reaches the log-on screen.

    ## How to fix
    Set UserAuthentication to 1.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    """
    yield from expect_number(guest.system, RDP_TCP, "UserAuthentication", 1)


@windows_rule("WIN423", "remote-desktop-keep-alive", INFO)
def remote_desktop_keep_alive(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Connections are kept alive and taken up again: KeepAliveEnable 1, KeepAliveInterval 1 and
    fDisableAutoReconnect 0 in the policies; KeepAliveTimeout 1, fInheritReconnectSame 1,
    fReconnectSame 0 and MaxInstanceCount 0xFFFFFFFF of RDP-Tcp.

    ## Why it matters
    Azure's load balancers drop connections that are idle for minutes.

    ## How to fix
    Set the values.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    - A fresh Windows has KeepAliveTimeout 0 and no policies.
    """
    for registry, path, wanted in (
        (guest.software, POLICY, _KEEP_ALIVE),
        (guest.system, RDP_TCP, _RECONNECT),
    ):
        if registry is None:
            continue
        wrong = [
            f"{name} {described(registry.value(path, name))}, expected {number}"
            for name, number in wanted
            if registry.number(path, name) != number
        ]
        if wrong:
            name = wrong[0].partition(" ")[0]
            yield value_hit(registry, path, name, "; ".join(wrong))


@windows_rule("WIN424", "remote-desktop-certificate", WARNING)
def remote_desktop_certificate(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    No certificate is bound to remote desktop (SSLCertificateSHA1Hash).

    ## Why it matters
    Every machine of the image would want that certificate, whose key it does not have: nobody can
    connect. Without the value Windows makes its own.

    ## How to fix
    Delete the value.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    """
    system = guest.system
    value = None if system is None else system.value(RDP_TCP, "SSLCertificateSHA1Hash")
    if system is not None and value is not None and value.data.strip(b"\0"):
        message = f"SSLCertificateSHA1Hash {described(value)}, expected no such value"
        yield value_hit(system, RDP_TCP, "SSLCertificateSHA1Hash", message)


@windows_rule("WIN461", "no-credssp-fix", INFO)
def no_credssp_fix(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Windows 10 and Server 2016 have the fix of May 2018 for CVE-2018-0886, by build and revision.

    ## Why it matters
    Clients that have it refuse to connect to a machine that has not.

    ## How to fix
    Install a cumulative update of May 2018 or later.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    - The revisions are those of the updates KB4103716, KB4103723, KB4103731, KB4103727, KB4103721.
    Windows before 10 does not store a revision, and is not judged.
    """
    software, product = guest.software, guest.product
    build, revision = product.build, product.revision
    if software is None or build is None or revision is None:
        return
    least = _CREDSSP_FIXED.get(build)
    if least is not None and revision < least:
        message = f"this is build {product.version}, expected at least {build}.{least}"
        yield value_hit(software, CURRENT_VERSION, "UBR", message)
