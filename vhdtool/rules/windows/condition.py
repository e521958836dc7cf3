"""The condition of an installation: pending updates, hives, leftovers that matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.guest.windows.product import CURRENT_VERSION
from vhdtool.rules.model import Hit, RegistryLocation
from vhdtool.rules.windows.declare import (
    ERROR,
    GENERALIZED,
    INFO,
    MARKETPLACE,
    WARNING,
    windows_rule,
)
from vhdtool.rules.windows.hits import described, file_hit, key_hit, listed, quoted, value_hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.windows.guest import WindowsGuest

_SERVICING = r"Microsoft\Windows\CurrentVersion\Component Based Servicing"
_AUTO_UPDATE = r"Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update"
_SESSION = r"CurrentControlSet\Control\Session Manager"
_WINLOGON = rf"{CURRENT_VERSION}\Winlogon"
_PROFILE_LIST = rf"{CURRENT_VERSION}\ProfileList"
_DEFENDER = r"Microsoft\Windows Advanced Threat Protection"
_REPOSITORY = "/Windows/System32/wbem/Repository"
_CROWDSTRIKE = "/Windows/System32/drivers/CrowdStrike"
_FAULTY_FROM, _FAULTY_BEFORE = 1721362140, 1721366820  # 2024-07-19, 04:09 and 05:27 UTC
_HIVES = ("SYSTEM", "SOFTWARE", "SAM", "SECURITY")


@windows_rule("WIN439", "restart-pending", ERROR, GENERALIZED)
def restart_pending(guest: WindowsGuest) -> Iterator[Hit]:
    r"""
    ## What it checks
    No update waits for a restart: RebootPending, RebootInProgress or PackagesPending of servicing,
    RebootRequired of Windows Update. \Windows\WinSxS\pending.xml alone is a warning, and files to
    be renamed at the next start are only told.

    ## Why it matters
    Sysprep refuses to run, or the update is finished in every machine while Azure waits for it.

    ## How to fix
    Restart the machine until nothing is pending, then run Sysprep.

    ## Source
    - MicrosoftDocs/SupportArticles-docs, Sysprep pages
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure": restart after updates
    """
    software, system = guest.software, guest.system
    for path, needs_children in (
        (rf"{_SERVICING}\RebootPending", False),
        (rf"{_SERVICING}\RebootInProgress", False),
        (rf"{_SERVICING}\PackagesPending", True),
        (rf"{_AUTO_UPDATE}\RebootRequired", False),
    ):
        key = None if software is None else software.key(path)
        if key is not None and (not needs_children or next(key.subkeys(), None) is not None):
            yield key_hit(key, f"an update waits for a restart: {key.name} is there")
    path = "/Windows/WinSxS/pending.xml"
    if guest.tree.is_file(path):
        yield file_hit(path, "servicing has operations to finish", severity=WARNING)
    value = None if system is None else system.value(_SESSION, "PendingFileRenameOperations")
    names = [text for text in (None if value is None else value.strings) or () if text]
    if system is not None and names:
        message = f"files are renamed or deleted at the next start: {listed(names)}"
        yield value_hit(system, _SESSION, "PendingFileRenameOperations", message, INFO)


@windows_rule("WIN453", "hive-not-clean", WARNING)
def hive_not_clean(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The hives SYSTEM, SOFTWARE, SAM and SECURITY were written whole, and nothing in them is damaged.
    A dirty hive whose log was applied is only told.

    ## Why it matters
    A dirty hive means that Windows was not shut down in order. Without its logs its last changes
    are missing, and so they are from this report.

    ## How to fix
    Start Windows and shut it down.

    ## Source
    - Microsoft's format of hives, as libyal/libregf and msuhanov/regf describe it
    """
    for name in _HIVES:
        registry = guest.hive(name)
        for note in () if registry is None else registry.hive.notes:
            severity = INFO if note.rstrip(".").endswith("applied") else None
            yield Hit(
                f"hive {name}: {quoted(note, 160)}", RegistryLocation(name, ""), b"", severity
            )


@windows_rule("WIN454", "no-wmi-repository", INFO)
def no_wmi_repository(guest: WindowsGuest) -> Iterator[Hit]:
    r"""
    ## What it checks
    \Windows\System32\wbem\Repository has OBJECTS.DATA, INDEX.BTR and a MAPPING file.

    ## Why it matters
    Azure's agent and extensions ask WMI.

    ## How to fix
    Run `winmgmt /salvagerepository`. A sealed image may lack it: Windows makes it anew.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure": `winmgmt /verifyrepository`
    """
    present = [name.upper() for name in guest.tree.names(_REPOSITORY)]
    missing = [name for name in ("OBJECTS.DATA", "INDEX.BTR") if name not in present]
    if not any(name.startswith("MAPPING") for name in present):
        missing.append("MAPPING*.MAP")
    if missing:
        yield file_hit(_REPOSITORY, f"the repository of WMI lacks {listed(missing)}")


@windows_rule("WIN458", "profiles-moved", WARNING, GENERALIZED)
def profiles_moved(guest: WindowsGuest) -> Iterator[Hit]:
    r"""
    ## What it checks
    Profiles are in %SystemDrive%\Users.

    ## Why it matters
    Sysprep does not support profiles elsewhere, and another volume is missing in a new machine.

    ## How to fix
    Install afresh with profiles in their place.

    ## Source
    - Microsoft, "Sysprep (System Preparation) Overview"
    """
    software = guest.software
    value = None if software is None else software.value(_PROFILE_LIST, "ProfilesDirectory")
    good = (r"%systemdrive%\users", r"c:\users")
    if software is not None and value is not None and (value.text or "").lower() not in good:
        message = rf"ProfilesDirectory {described(value)}, expected %SystemDrive%\Users"
        yield value_hit(software, _PROFILE_LIST, "ProfilesDirectory", message)


@windows_rule("WIN459", "defender-endpoint-identity", WARNING, GENERALIZED)
def defender_endpoint_identity(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Defender for Endpoint has no identity in the image (senseGuid).

    ## Why it matters
    All machines of the image report as one, and Sysprep fails with 0x5 where it may not remove it.

    ## How to fix
    Offboard the machine and delete senseGuid before sealing, as the guide for golden images says.

    ## Source
    - Microsoft, "Onboard non-persistent virtual desktop infrastructure (VDI) devices"
    - MicrosoftDocs/SupportArticles-docs, Sysprep pages
    """
    software = guest.software
    if software is not None and software.text(_DEFENDER, "senseGuid"):
        message = "senseGuid is set, expected no such value"
        yield value_hit(software, _DEFENDER, "senseGuid", message)


@windows_rule("WIN460", "automatic-log-on", ERROR, GENERALIZED, MARKETPLACE)
def automatic_log_on(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Nobody is logged on automatically (AutoAdminLogon), and no password is stored in the clear
    (DefaultPassword). The password is never shown.

    ## Why it matters
    Whoever has the image has the password, and every machine logs that account on at its start.

    ## How to fix
    Set AutoAdminLogon to 0 and delete DefaultPassword.

    ## Source
    - Microsoft, "Configure Windows to automate logon", which warns of the value
    - AutoAdminLogon without a password is a warning: the password may be in LSA's secrets, or
    missing.
    """
    software = guest.software
    if software is None:
        return
    user = quoted(software.text(_WINLOGON, "DefaultUserName") or "somebody")
    if software.text(_WINLOGON, "DefaultPassword"):
        location = RegistryLocation("SOFTWARE", _WINLOGON, "DefaultPassword")
        yield Hit(f"a password of {user} is stored in the clear, expected none", location)
    value = software.value(_WINLOGON, "AutoAdminLogon")
    if value is not None and (value.text == "1" or value.number == 1):
        message = f"{user} is logged on automatically, expected AutoAdminLogon 0"
        yield value_hit(software, _WINLOGON, "AutoAdminLogon", message, WARNING)


@windows_rule("WIN464", "control-sets-disagree", WARNING)
def control_sets_disagree(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Select has the same Current and Default, Failed is 0, and the control set that they name exists,
    which is an error where it does not.

    ## Why it matters
    Windows has started from an earlier configuration after a failure, or will: what is repaired in
    one control set is not in the other.

    ## How to fix
    Find out what failed; set Current and Default to the control set that is known to start.

    ## Source
    - Azure/repair-script-library, src/windows/win-LKGC.ps1
    - Sample hives
    """
    system = guest.system
    if system is None:
        return
    current, default = system.number("Select", "Current"), system.number("Select", "Default")
    failed = system.number("Select", "Failed")
    if current is not None and default is not None and current != default:
        message = f"Default is {default}, expected {current} as Current"
        yield value_hit(system, "Select", "Default", message)
    if failed:
        yield value_hit(system, "Select", "Failed", f"Failed is {failed}, expected 0")
    for name, number in (("Current", current), ("Default", default)):
        if number is not None and system.key(f"ControlSet{number:03}") is None:
            message = f"{name} names ControlSet{number:03}, which is missing"
            yield value_hit(system, "Select", name, message, ERROR)


@windows_rule("WIN465", "faulty-crowdstrike-file", INFO)
def faulty_crowdstrike_file(guest: WindowsGuest) -> Iterator[Hit]:
    r"""
    ## What it checks
    `\Windows\System32\drivers\CrowdStrike` has no channel file C-00000291*.sys that was written on
    2024-07-19 between 04:09 and 05:27 UTC.

    ## Why it matters
    Windows stops at its start while it reads that file.

    ## How to fix
    Delete the file.

    ## Source
    - Azure/repair-script-library, win-crowdstrike-fix-bootloop.ps1
    - CrowdStrike's own statement of the times
    """
    for name in guest.tree.names(_CROWDSTRIKE):
        path = f"{_CROWDSTRIKE}/{name}"
        stat = guest.tree.stat(path)
        is_channel = name.lower().startswith("c-00000291") and name.lower().endswith(".sys")
        if is_channel and stat is not None and _FAULTY_FROM <= stat.modified < _FAULTY_BEFORE:
            yield file_hit(path, "written on 2024-07-19 before 05:27 UTC: the file is faulty")
