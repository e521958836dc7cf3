"""Server roles that Sysprep supports under conditions: what is set up must be removed first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.guest.windows.product import WINDOWS_8
from vhdtool.rules.windows.declare import ERROR, GENERALIZED, INFO, WARNING, windows_rule
from vhdtool.rules.windows.hits import file_hit, key_hit, listed, quoted, value_hit
from vhdtool.rules.windows.roles import SYSPREP_SUPPORT, judged, role_hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.windows.guest import WindowsGuest
    from vhdtool.rules.model import Hit


@windows_rule("ROL509", "file-services", INFO, GENERALIZED)
def file_services(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Whether File and iSCSI Services are installed: on Windows Server 2008 Sysprep does not support
    them.

    ## Why it matters
    Quotas and replication groups name volumes and machines.

    ## How to fix
    Remove what is set up before sealing.

    ## Source
    - Microsoft, "Sysprep Support for Server Roles"
    - The part that every server has (Storage Services) does not count.
    """
    yield from judged(guest, "File-Services")


@windows_rule("ROL510", "hyper-v-networks", WARNING, GENERALIZED)
def hyper_v_networks(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Hyper-V is not installed on Windows Server 2008, and has no virtual switches on later releases.

    ## Why it matters
    Switches are bound to adapters of the machine: Sysprep leaves them broken.

    ## How to fix
    Delete the virtual networks before sealing.

    ## Source
    - Microsoft, "Sysprep Support for Server Roles"
    - That switches are keys below VMSMP\\Parameters\\SwitchList is known from tools that read them.
    """
    yield from judged(guest, "Hyper-V")
    path = r"CurrentControlSet\Services\VMSMP\Parameters\SwitchList"
    switches = None if guest.system is None else guest.system.key(path)
    for key in () if switches is None else switches.subkeys():
        name = quoted(key.text("FriendlyName") or key.name)
        yield key_hit(key, f"there is the virtual switch {name}, expected none")


@windows_rule("ROL513", "print-services", INFO, GENERALIZED)
def print_services(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Print and Document Services are not installed on Windows Server 2008.

    ## Why it matters
    There Sysprep does not support them.

    ## How to fix
    Remove the role before sealing.

    ## Source
    - Microsoft, "Sysprep Support for Server Roles"
    """
    yield from judged(guest, "Print-Services")


@windows_rule("ROL514", "remote-desktop-services-licences", INFO, GENERALIZED)
def remote_desktop_services_licences(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Whether Remote Desktop Services are installed.

    ## Why it matters
    Sysprep supports them, but the grace period of 120 days without licences started when the role
    was installed, and connection brokers know the machine by its name.

    ## How to fix
    Nothing needs to be done for session hosts that get licences.

    ## Source
    - Microsoft, "Sysprep Support for Server Roles"
    """
    role = guest.roles.get("Remote-Desktop-Services")
    if role is not None:
        yield from role_hit(guest, role, f"{role.title} is installed, which Sysprep supports")


@windows_rule("ROL515", "streaming-or-activation-services", WARNING, GENERALIZED)
def streaming_or_activation_services(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Neither Streaming Media Services nor Volume Activation Services are installed, and the machine
    is no host of the Key Management Service.

    ## Why it matters
    Microsoft's table does not support them, or is silent. A second host of keys with the same key
    counts as a misuse of it.

    ## How to fix
    Remove the role; run `slmgr /upk` for a host's key.

    ## Source
    - Microsoft, "Sysprep Support for Server Roles"
    - A host listens on KeyManagementServiceListeningPort, which clients do not set.
    """
    for name in ("Streaming-Media", "VolumeActivation"):
        yield from judged(guest, name)
    path = r"Microsoft\Windows NT\CurrentVersion\SoftwareProtectionPlatform"
    name = "KeyManagementServiceListeningPort"
    software = guest.software
    if software is not None and guest.product.is_server and software.value(path, name) is not None:
        message = f"{name} is set, as on a host of the Key Management Service"
        yield value_hit(software, path, name, message)


_ENCRYPTED = "[enc:"
_CONFIG = "/Windows/System32/inetsrv/config/applicationHost.config"


@windows_rule("ROL516", "web-server-secrets", WARNING, GENERALIZED)
def web_server_secrets(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    applicationHost.config of IIS has no encrypted settings. They are not shown.

    ## Why it matters
    Sysprep removes the keys that they are encrypted with: application pools with an account of
    their own do not start.

    ## How to fix
    Remove the passwords before sealing and set them in the new machine.

    ## Source
    - Microsoft, "Sysprep Support for Server Roles": IIS with encrypted credentials is not supported
    """
    if "Web-Server" not in guest.roles:
        return
    for number, line in enumerate(guest.lines(_CONFIG) or (), 1):
        if _ENCRYPTED in line:
            message = "a setting of IIS is encrypted with keys that Sysprep removes"
            yield file_hit(_CONFIG, message, number, _ENCRYPTED)


@windows_rule("ROL517", "deployment-services", ERROR, GENERALIZED)
def deployment_services(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Windows Deployment Services are not installed before Windows Server 2012, and are not set up
    (no folder RemoteInstall) on later releases.

    ## Why it matters
    Sysprep supports them only until they are set up.

    ## How to fix
    Run `wdsutil /uninitialize-server` before sealing.

    ## Source
    - Microsoft, "Sysprep Support for Server Roles"
    """
    yield from judged(guest, "WDS")
    if "WDS" in guest.roles and guest.tree.is_folder("/RemoteInstall"):
        message = "Windows Deployment Services are set up here, expected not to be"
        yield file_hit("/RemoteInstall", message)


@windows_rule("ROL519", "application-server", INFO, GENERALIZED)
def application_server(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Whether the role Application Server is installed.

    ## Why it matters
    Sysprep supports it; its own applications may keep what belongs to one machine.

    ## How to fix
    Nothing needs to be done for the role.

    ## Source
    - Microsoft, "Sysprep Support for Server Roles"
    """
    role = guest.roles.get("Application-Server")
    if role is not None:
        yield from role_hit(guest, role, f"{role.title} is installed, which Sysprep supports")


@windows_rule("ROL524", "role-table-ends-with-2012", INFO, GENERALIZED)
def role_table_ends_with_2012(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Whether this is a release after Windows Server 2012 with a role that was judged as on 2012.

    ## Why it matters
    Microsoft's table of roles that Sysprep supports ends with 2012.

    ## How to fix
    Try a machine of the image before it is published.

    ## Source
    - Microsoft, "Sysprep Support for Server Roles"
    """
    roles = [role for name, role in guest.roles.items() if name in SYSPREP_SUPPORT]
    build = guest.product.build
    if roles and build is not None and build > WINDOWS_8:
        names = listed([role.title for role in roles])
        message = f"judged as on Windows Server 2012, where the table ends: {names}"
        yield from role_hit(guest, roles[0], message)
