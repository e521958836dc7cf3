"""What keeps Sysprep from generalizing, and what does not survive it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.guest.windows.product import CURRENT_VERSION, SERVER_2016
from vhdtool.rules.windows.declare import GENERALIZED, INFO, WARNING, windows_rule
from vhdtool.rules.windows.hits import described, key_hit, listed, quoted, value_hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.windows.guest import WindowsGuest
    from vhdtool.rules.model import Hit

_PROTECTION = rf"{CURRENT_VERSION}\SoftwareProtectionPlatform"
_APPX = r"Microsoft\Windows\CurrentVersion\Appx\AppxAllUserStore"
_RESERVE = r"Microsoft\Windows\CurrentVersion\ReserveManager"
_PROVIDERS = r"Microsoft\Windows\CurrentVersion\Setup\Sysprep"
_EFS = r"Software\Microsoft\Windows NT\CurrentVersion\EFS\CurrentKeys"
# Packages that others are built on: they come and go with those.
_FRAMEWORKS = (
    "microsoft.vclibs.",
    "microsoft.net.native.",
    "microsoft.ui.xaml.",
    "microsoft.windowsappruntime.",
)
# Where Windows has providers of its own, by sample hives.
_OF_WINDOWS = (
    "\\windows\\",
    "\\program files\\internet explorer\\",
    "\\program files\\windows media player\\",
    "\\common files\\microsoft shared\\",
)
_LOCAL_USER = "s-1-5-21-"


@windows_rule("WGN409", "app-of-one-user", INFO, GENERALIZED)
def app_of_one_user(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Every Store app that is installed for a person is provisioned for all users, or comes with
    Windows. Only machines that are not sealed yet are judged.

    ## Why it matters
    Sysprep stops at the first app that is not (0x80073cf2).

    ## How to fix
    Remove the app with `Remove-AppxPackage -AllUsers`, or provision it.

    ## Source
    - MicrosoftDocs/SupportArticles-docs, "Sysprep fails after you remove or update Store apps"
    - The keys of AppxAllUserStore are known from tools that read them, hence only a line; apps
    under InboxApplications count as provisioned, and frameworks are left alone.
    """
    software = guest.software
    root = None if software is None else software.key(_APPX)
    if root is None or guest.sysprep.has_tag:
        return
    provisioned = set()
    for name in ("Applications", "InboxApplications"):
        key = root.subkey(name)
        if key is not None:
            provisioned |= {_family(app.name) for app in key.subkeys()}
    if not provisioned:
        return
    for user in root.subkeys():
        if not user.name.lower().startswith(_LOCAL_USER):
            continue
        apps = sorted(
            app.name
            for app in user.subkeys()
            if _family(app.name) not in provisioned and not app.name.lower().startswith(_FRAMEWORKS)
        )
        if apps:
            yield key_hit(
                user,
                f"apps of {quoted(user.name)} are not provisioned for all users: {listed(apps)}",
            )


def _family(full_name: str) -> tuple[str, str]:
    """Name and publisher of a package: the first and last part between underscores."""
    parts = full_name.lower().split("_")
    return parts[0], parts[-1]


@windows_rule("WGN410", "skip-rearm", WARNING, GENERALIZED)
def skip_rearm(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    SkipRearm is 0.

    ## Why it matters
    With 1 Sysprep does not reset the licensing state: machines of the image share it and count as
    copies of one another. It is meant for tests.

    ## How to fix
    Set it to 0 and run Sysprep again. Rearming is limited: 1001 times since Windows 8.1 and Server
    2012, 8 times on Windows 7.

    ## Source
    - Microsoft, "Sysprep (Generalize) a Windows installation"
    """
    software = guest.software
    if software is None:
        return
    value = software.value(_PROTECTION, "SkipRearm")
    if value is not None and value.number not in (0, None):
        message = f"SkipRearm {described(value)}, expected 0"
        yield value_hit(software, _PROTECTION, "SkipRearm", message)


@windows_rule("WGN411", "upgraded-in-place", WARNING, GENERALIZED)
def upgraded_in_place(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Windows before 10.0.14393 (Windows 10 1607, Server 2016) was installed afresh, not upgraded from
    an earlier Windows. Of later ones it is only told.

    ## Why it matters
    Sysprep does not support installations that were upgraded, before that release.

    ## How to fix
    Install afresh.

    ## Source
    - Microsoft, "Sysprep (System Preparation) Overview"
    - `Source OS (Updated on ...)` below SYSTEM\\Setup was seen on upgraded clients.
    """
    system, build = guest.system, guest.product.build
    setup = None if system is None else system.key("Setup")
    for key in () if setup is None else setup.subkeys():
        if key.name.lower() == "upgrade" or key.name.lower().startswith("source os"):
            late = build is None or build >= SERVER_2016
            yield key_hit(
                key,
                f"Windows was upgraded in place ({quoted(key.name)}), expected a fresh install",
                severity=INFO if late else None,
            )
            return


@windows_rule("WGN427", "reserved-storage-in-use", INFO, GENERALIZED)
def reserved_storage_in_use(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    ActiveScenario of the reserved storage is 0. Only machines that are not sealed are judged.

    ## Why it matters
    Since Windows 10 2004 Sysprep refuses to run while an update uses the reserved storage.

    ## How to fix
    Let updates finish and restart the machine before Sysprep.

    ## Source
    - Reports of users; no page of Microsoft's states the value, hence only a line.
    """
    software = guest.software
    if software is None or guest.sysprep.has_tag:
        return
    number = software.number(_RESERVE, "ActiveScenario")
    if number:
        message = f"ActiveScenario is {number}, expected 0: an update uses the reserved storage"
        yield value_hit(software, _RESERVE, "ActiveScenario", message)


@windows_rule("WGN430", "foreign-sysprep-provider", INFO, GENERALIZED)
def foreign_sysprep_provider(guest: WindowsGuest) -> Iterator[Hit]:
    r"""
    ## What it checks
    Whether programs that are no part of Windows take part in Sysprep's phases, by the keys
    Generalize, Specialize and Cleanup below Setup\Sysprep.

    ## Why it matters
    A provider that fails makes Sysprep fail, or the first start of every machine.

    ## How to fix
    Find out which program it belongs to, and whether it supports Sysprep.

    ## Source
    - Microsoft, "Sysprep (System Preparation) Overview": providers
    """
    root = None if guest.software is None else guest.software.key(_PROVIDERS)
    for name in ("Generalize", "Specialize", "Cleanup"):
        key = None if root is None else root.subkey(name)
        for value in () if key is None else key.values():
            text = (value.text or "").lower()
            is_foreign = ":\\" in text and not any(part in text for part in _OF_WINDOWS)
            if key is not None and is_foreign:
                message = f'"{quoted(value.text or "")}" takes part in Sysprep\'s phase {name}'
                yield key_hit(key, message, value.name)


@windows_rule("WGN418", "encrypted-files", WARNING, GENERALIZED)
def encrypted_files(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    No user has a key of EFS, by CurrentKeys in the user's NTUSER.DAT.

    ## Why it matters
    Sysprep removes the keys: files that EFS has encrypted cannot be read any more.

    ## How to fix
    Decrypt the files (`cipher /d /s:C:\\`) before sealing.

    ## Source
    - Microsoft, "Sysprep (System Preparation) Overview"
    - Windows makes the key when a user encrypts the first file. Attributes of files are not looked
    at, since that takes reading every record of NTFS.
    """
    for user in guest.tree.names("/Users"):
        hive = guest.user_hive(user)
        key = None if hive is None else hive.key(_EFS)
        if key is not None and key.value("CertificateHash") is not None:
            message = f"{quoted(user)} has a key of EFS, expected none"
            yield key_hit(key, message, "CertificateHash")
