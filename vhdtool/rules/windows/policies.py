"""Policies and settings that shut Azure, or its users, out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.guest.windows.services import SERVICES
from vhdtool.rules.windows.declare import ERROR, GENERALIZED, INFO, WARNING, windows_rule
from vhdtool.rules.windows.hits import expect_number, file_hit, key_hit, listed, value_hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.windows.guest import WindowsGuest
    from vhdtool.rules.model import Hit

_REMOVABLE = r"Policies\Microsoft\Windows\RemovableStorageDevices"
_CD_AND_DVD = "{53f56308-b6bf-11d0-94f2-00a0c91efb8b}"
_PARTMGR = rf"{SERVICES}\partmgr\Parameters"
_SAN = {2: "offline where shared", 3: "offline", 4: "offline where internal"}
_LSA = r"CurrentControlSet\Control\Lsa"
_PROFILES = r"Policies\Microsoft\Windows\System"
_MSCONFIG = r"Microsoft\Shared Tools\MSConfig"
_ACCOUNTS = r"Policy\Accounts"
_RIGHTS = {
    0x80: "may not log on over the network",
    0x800: "may not log on by remote desktop",
}
_REMOTE, _NETWORK = 0x400, 0x2
_GROUPS = {
    "S-1-1-0": "Everyone",
    "S-1-5-11": "Authenticated Users",
    "S-1-5-113": "local accounts",
    "S-1-5-114": "local accounts of administrators",
    "S-1-5-32-544": "Administrators",
    "S-1-5-32-545": "Users",
    "S-1-5-32-555": "Remote Desktop Users",
}
_SCRIPTS = (
    "/Windows/System32/GroupPolicy/Machine/Scripts/scripts.ini",
    "/Windows/System32/GroupPolicy/Machine/Scripts/psscripts.ini",
    "/Windows/System32/GroupPolicy/User/Scripts/scripts.ini",
    "/Windows/System32/GroupPolicy/User/Scripts/psscripts.ini",
)


@windows_rule("WIN403", "data-disks-stay-offline", WARNING)
def data_disks_stay_offline(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The SAN policy, where one is set, is OnlineAll (SanPolicy 1).

    ## Why it matters
    Data disks that are attached later stay offline until somebody brings each one online.

    ## How to fix
    Run `diskpart`, `san policy=onlineall`; or set SanPolicy to 1.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    - Azure/repair-script-library
    """
    system = guest.system
    number = None if system is None else system.number(_PARTMGR, "SanPolicy")
    if system is not None and number not in (None, 1):
        name = f" ({_SAN[number]})" if number in _SAN else ""
        message = f"SanPolicy is {number}{name}, expected 1 (online)"
        yield value_hit(system, _PARTMGR, "SanPolicy", message)


@windows_rule("WIN418", "removable-media-denied", ERROR, GENERALIZED)
def removable_media_denied(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    No policy denies reading CDs and DVDs, or all removable storage.

    ## Why it matters
    Azure hands over what to provision on a DVD. Windows that may not read it stops in the
    out-of-box experience.

    ## How to fix
    Delete Deny_All, and Deny_Read of `{53f56308-b6bf-11d0-94f2-00a0c91efb8b}`.

    ## Source
    - MicrosoftDocs/SupportArticles-docs, Azure VM troubleshooting pages
    - Microsoft, policy CSP RemovableStorage: the GUID is the class of CDs and DVDs
    """
    software = guest.software
    for path, name in ((_REMOVABLE, "Deny_All"), (rf"{_REMOVABLE}\{_CD_AND_DVD}", "Deny_Read")):
        yield from expect_number(software, path, name, 0)


@windows_rule("WIN438", "log-on-denied", WARNING)
def log_on_denied(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    No group that administrators belong to is denied to log on over the network or by remote
    desktop, and Administrators may do both, where the hive SECURITY lists their rights.

    ## Why it matters
    The account that Azure makes is a local administrator. Hardening often denies those.

    ## How to fix
    Set "Deny log on through Remote Desktop Services" and "Deny access to this computer from the
    network" in the local security policy.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    - Microsoft, ntsecapi.h: the bits of account rights. That ActSysAc holds them is known from
    tools that read it.
    """
    security = guest.hive("SECURITY")
    if security is None:
        return
    masks = {}
    for sid, group in _GROUPS.items():
        path = rf"{_ACCOUNTS}\{sid}\ActSysAc"
        value = security.value(path, "")
        if value is None or len(value.data) < 4:
            continue
        masks[sid] = int.from_bytes(value.data[:4], "little")
        for bit, right in _RIGHTS.items():
            if masks[sid] & bit:
                yield value_hit(security, path, "", f"{group} {right}, expected that they may")
    administrators = masks.get("S-1-5-32-544")
    path = rf"{_ACCOUNTS}\S-1-5-32-544\ActSysAc"
    if administrators is not None and not administrators & _REMOTE:
        message = "Administrators lack the right to log on by remote desktop"
        yield value_hit(security, path, "", message)
    if administrators is not None and not any(mask & _NETWORK for mask in masks.values()):
        message = "neither Administrators nor a group they belong to may log on over the network"
        yield value_hit(security, path, "", message)


@windows_rule("WIN450", "domain-controller", WARNING)
def domain_controller(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The machine is not a domain controller (ProductType LanmanNT).

    ## Why it matters
    Its database must not be on a disk with a write cache, its address must stay, and a copy of it
    breaks replication.

    ## How to fix
    Add a new controller in Azure instead of moving one.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    """
    system = guest.system
    if system is not None and guest.product.kind.lower() == "lanmannt":
        path = r"CurrentControlSet\Control\ProductOptions"
        message = "ProductType is LanmanNT (a domain controller), expected ServerNT or WinNT"
        yield value_hit(system, path, "ProductType", message)


@windows_rule("WIN462", "profiles-cleaned-up", INFO)
def profiles_cleaned_up(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Whether a policy deletes profiles that were not used for some days (CleanupProfiles).

    ## Why it matters
    The profile of the account that Azure made is among them.

    ## How to fix
    Delete the policy.

    ## Source
    - Azure/azure-diskinspect-service, manifests/windows/rdp-registry
    """
    software = guest.software
    days = None if software is None else software.number(_PROFILES, "CleanupProfiles")
    if software is not None and days:
        message = f"profiles are deleted after {days} days without use, expected never"
        yield value_hit(software, _PROFILES, "CleanupProfiles", message)


@windows_rule("WIN463", "started-selectively", INFO)
def started_selectively(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Whether msconfig has disabled services or programs that start with Windows.

    ## Why it matters
    It is usually a leftover of a search for a fault.

    ## How to fix
    Choose "Normal startup" in msconfig.

    ## Source
    - Azure/azure-diskinspect-service, manifests/windows/rdp-registry
    """
    for name, what in (("services", "services"), ("startupreg", "programs")):
        key = None if guest.software is None else guest.software.key(rf"{_MSCONFIG}\{name}")
        names = [] if key is None else [item.name for item in key.subkeys()]
        if key is not None and names:
            yield key_hit(key, f"msconfig has disabled {what}: {listed(names)}")


@windows_rule("WIN466", "policy-scripts", INFO, GENERALIZED)
def policy_scripts(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Whether local group policies run scripts at starts or log-ons.

    ## Why it matters
    They run in every machine of the image, and may wait for servers that are out of reach.

    ## How to fix
    Look at what they do.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure": remove policies of the domain
    - An empty scripts.ini is left alone.
    """
    for path in _SCRIPTS:
        for number, line in enumerate(guest.lines(path) or (), 1):
            if "cmdline" in line.lower() and line.partition("=")[2].strip():
                text = line.partition("=")[2].strip()
                message = f"a policy runs {listed([text])}"
                yield file_hit(path, message, number, line.strip())
                break


@windows_rule("WIN467", "blank-passwords-over-network", INFO)
def blank_passwords_over_network(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Accounts without a password may log on at the console only (LimitBlankPasswordUse 1).

    ## Why it matters
    A machine in Azure has no console; with 0 such an account is open to the network.

    ## How to fix
    Set LimitBlankPasswordUse to 1.

    ## Source
    - Microsoft, "Accounts: Limit local account use of blank passwords to console logon only"; 1 is
    the default
    """
    yield from expect_number(guest.system, _LSA, "LimitBlankPasswordUse", 1)
