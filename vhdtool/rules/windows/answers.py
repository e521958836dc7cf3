"""Answer files and scripts of Setup that an image brings along."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vhdtool.guest.windows.sysprep import SETUP
from vhdtool.rules.windows.declare import ERROR, GENERALIZED, INFO, WARNING, windows_rule
from vhdtool.rules.windows.hits import file_hit, quoted, value_hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.windows.guest import WindowsGuest
    from vhdtool.rules.model import Hit

_PANTHER = (
    "/Windows/Panther/unattend.xml",
    "/Windows/Panther/Unattend/Unattend.xml",
    "/Windows/Panther/Unattend/Autounattend.xml",
)
_CUSTOM = (
    "/unattend.xml",
    "/autounattend.xml",
    "/Windows/System32/Sysprep/unattend.xml",
)
_SCRIPTS = ("SetupComplete.cmd", "ErrorHandler.cmd", "OOBE.cmd")
_SETTING = re.compile(
    r"<(PersistAllDeviceInstallations|DoNotCleanUpNonPresentDevices)>\s*true\s*<", re.IGNORECASE
)


@windows_rule("WGN414", "answer-file-in-panther", ERROR, GENERALIZED)
def answer_file_in_panther(guest: WindowsGuest) -> Iterator[Hit]:
    r"""
    ## What it checks
    \Windows\Panther holds no answer file: unattend.xml, Unattend\Unattend.xml or
    Unattend\Autounattend.xml.

    ## Why it matters
    Setup looks there before it looks at removable media, and so uses that file instead of the one
    that Azure hands over on a DVD: the machine is not provisioned as asked, or not at all.

    ## How to fix
    Delete the file. That can be done offline.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure": delete the Panther folder before
    running Sysprep
    - The order of the search is known from Setup's documentation of implicit answer files; other
    files of the folder are logs and do no harm, and Setup writes them anew.
    """
    for path in _PANTHER:
        if guest.tree.is_file(path):
            yield file_hit(path, "an answer file is here, expected none: it wins over Azure's DVD")


@windows_rule("WGN415", "custom-answer-file", WARNING, GENERALIZED)
def custom_answer_file(guest: WindowsGuest) -> Iterator[Hit]:
    r"""
    ## What it checks
    No answer file at the root of the system volume or in \Windows\System32\Sysprep, and no
    UnattendFile in SYSTEM\Setup.

    ## Why it matters
    Azure does not support answer files of one's own: it provisions by one that it makes itself.

    ## How to fix
    Delete the file and the value. Do what it did with an extension, or before sealing.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    """
    for path in _CUSTOM:
        if guest.tree.is_file(path):
            yield file_hit(path, "an answer file is here, expected none: Azure brings its own")
    system = guest.system
    if system is not None and system.text(SETUP, "UnattendFile"):
        text = quoted(system.text(SETUP, "UnattendFile") or "")
        yield value_hit(
            system, SETUP, "UnattendFile", f'UnattendFile is "{text}", expected no such value'
        )


@windows_rule("WGN421", "devices-kept-by-answer-file", INFO, GENERALIZED)
def devices_kept_by_answer_file(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    No answer file in the image sets PersistAllDeviceInstallations or DoNotCleanUpNonPresentDevices.

    ## Why it matters
    Sysprep then keeps the devices of the machine that it ran on, with their settings: network
    adapters of another hypervisor, static addresses.

    ## How to fix
    Remove the settings and run Sysprep again, unless the image was sealed in Azure.

    ## Source
    - Microsoft, unattend reference, component Microsoft-Windows-PnpSysprep
    - cloudbase/windows-imaging-tools sets the first on purpose.
    """
    for path in (*_PANTHER, *_CUSTOM):
        for number, line in enumerate(guest.lines(path) or (), 1):
            match = _SETTING.search(line)
            if match is not None:
                yield file_hit(path, f"{match[1]} is true, expected false", number, line.strip())


@windows_rule("WGN428", "setup-script", INFO, GENERALIZED)
def setup_script(guest: WindowsGuest) -> Iterator[Hit]:
    r"""
    ## What it checks
    Whether \Windows\Setup\Scripts holds SetupComplete.cmd, ErrorHandler.cmd or OOBE.cmd.

    ## Why it matters
    Setup runs them in every machine that is made of the image. Azure's provisioning uses
    SetupComplete.cmd too, in \Windows\OEM: a script that restarts the machine disturbs it.

    ## How to fix
    Look at what the script does; it must end soon and must not restart the machine.

    ## Source
    - Microsoft, "Add a Custom Script to Windows Setup"
    """
    for name in _SCRIPTS:
        path = guest.path(f"Setup/Scripts/{name}")
        stat = guest.tree.stat(path)
        if stat is not None and stat.size > 0:
            yield file_hit(path, f"{name} has {stat.size} bytes and is run by Setup")
