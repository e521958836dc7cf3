"""What ties an image to one machine: memberships, accounts, names, clients' numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vhdtool.guest.windows.accounts import ADMINISTRATOR
from vhdtool.guest.windows.agent import HANDLER_STATE
from vhdtool.guest.windows.membership import DOMAIN_SID
from vhdtool.guest.windows.network import TCPIP
from vhdtool.rules.windows.declare import (
    ERROR,
    GENERALIZED,
    INFO,
    MARKETPLACE,
    WARNING,
    windows_rule,
)
from vhdtool.rules.windows.hits import file_hit, key_hit, listed, quoted, value_hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.windows.guest import WindowsGuest
    from vhdtool.rules.model import Hit

_COMPUTER = r"CurrentControlSet\Control\ComputerName\ComputerName"
_CRYPTOGRAPHY = r"Microsoft\Cryptography"
_UPDATE = r"Microsoft\Windows\CurrentVersion\WindowsUpdate"
# What Setup makes up itself: WIN- or DESKTOP- and letters, MININT- while it installs.
MADE_UP_NAME = re.compile(r"(WIN|DESKTOP|MININT|LAPTOP)-[A-Z0-9]{7,11}", re.IGNORECASE)


@windows_rule("WGN412", "domain-member", ERROR, GENERALIZED)
def domain_member(guest: WindowsGuest) -> Iterator[Hit]:
    r"""
    ## What it checks
    The machine is in a workgroup: SECURITY has no SID of a primary domain.

    ## Why it matters
    Sysprep takes a member out of its domain, but keeps what the domain's policies set: settings
    that no administrator can find, scripts on servers that are out of reach, denied log-ons.

    ## How to fix
    Start the machine, leave the domain, remove what its policies set, and run Sysprep.

    ## Source
    - Microsoft, "Sysprep (System Preparation) Overview": the computer must be in a workgroup
    - Where the hive SECURITY is not there a primary DNS suffix counts, as a warning only: a
    workgroup can have one.
    """
    membership = guest.membership
    if not membership.is_member:
        return
    name = quoted(membership.domain) or "a domain whose name is not stored"
    security, system = guest.hive("SECURITY"), guest.system
    if membership.by_sid and security is not None:
        message = f"the machine is a member of {name}, expected a workgroup"
        yield value_hit(security, DOMAIN_SID, "", message)
    elif system is not None:
        message = f"the primary DNS suffix is {name}, expected none: the machine may be its member"
        yield value_hit(system, TCPIP, "NV Domain", message, WARNING)


@windows_rule("WGN413", "managed-by-entra", WARNING, GENERALIZED)
def managed_by_entra(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The machine is not joined to Entra and not enrolled with a service that manages devices.

    ## Why it matters
    All machines of the image would claim to be that one device: none of them can join or enrol.

    ## How to fix
    Start the machine, run `dsregcmd /leave`, remove it from the management, and run Sysprep.

    ## Source
    - Microsoft Entra, "How to manage devices": images must not be of joined devices
    - The keys are known from tools that read them; no page of Microsoft's lists them.
    """
    for key in guest.membership.joins:
        yield key_hit(key, f"the machine is joined to Entra ({quoted(key.name)}), expected no join")
    for key in guest.membership.enrollments:
        provider = quoted(key.text("ProviderID") or "")
        yield key_hit(
            key, f'the machine is enrolled with "{provider}", expected none', "ProviderID"
        )


@windows_rule("WGN416", "provisioned-in-azure", WARNING, GENERALIZED)
def provisioned_in_azure(guest: WindowsGuest) -> Iterator[Hit]:
    r"""
    ## What it checks
    No files of an earlier provisioning in Azure: WaSetup.xml, WaSetup.log and VmAgentInstaller.xml
    in \Windows\Panther, \AzureData\CustomData.bin, \WindowsAzure\Logs.

    ## Why it matters
    They show that the disk ran in Azure. WaSetup.xml is what Microsoft's own test for
    generalization reads beside State.ini; CustomData.bin may hold secrets of the first machine.

    ## How to fix
    Delete them before sealing; it can be done offline too. If the machine was not sealed again,
    run Sysprep.

    ## Source
    - Azure/azure-diskinspect-service, manifests/windows/genspec
    - MicrosoftDocs/SupportArticles-docs, custom-image-provisioning-errors
    """
    for path in guest.agent.provisioned:
        yield file_hit(path, "left by a provisioning in Azure, expected no such file")
    if guest.agent.has_logs:
        yield file_hit("/WindowsAzure/Logs", "logs of Azure's agent, expected no such folder")


@windows_rule("WGN417", "azure-extensions-left", WARNING, GENERALIZED)
def azure_extensions_left(guest: WindowsGuest) -> Iterator[Hit]:
    r"""
    ## What it checks
    No extensions in \Packages\Plugins and none in the agent's key HandlerState.

    ## Why it matters
    The agent believes that they are installed: the same extension then fails in new machines.

    ## How to fix
    Remove the extensions in Azure before sealing. Deleting the folders offline is not enough.

    ## Source
    - Azure, "Remove machine specific information by deprovisioning or generalizing a VM"
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    """
    for path in guest.agent.extensions:
        yield file_hit(path, f"the extension {quoted(path.rpartition('/')[2])} is left")
    key = None if guest.software is None else guest.software.key(HANDLER_STATE)
    for handler in () if key is None else key.subkeys():
        yield key_hit(handler, f"the agent knows the extension {quoted(handler.name)}")


@windows_rule("WGN422", "accounts-left", WARNING, GENERALIZED, MARKETPLACE)
def accounts_left(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    SAM has no local accounts beside those that every Windows has.

    ## Why it matters
    Every machine of the image has them, with one password that its builders know.

    ## How to fix
    Delete the accounts and their profiles before sealing.

    ## Source
    - Azure, "Security recommendations for Azure Marketplace images"; "VM certification FAQ"
    - Only names and flags are read. The built-in ones are known by their numbers: 500, 501, 503,
    504.
    """
    for account in guest.accounts or ():
        if account.is_built_in:
            continue
        state = {True: "enabled", False: "disabled", None: "unknown whether enabled"}
        sam = guest.hive("SAM")
        if sam is not None:
            message = (
                f"the account {quoted(account.name)} ({account.rid}, {state[account.is_enabled]}) "
                "is left, expected built-in accounts only"
            )
            severity = INFO if account.is_enabled is False else None
            yield value_hit(sam, account.key, "F", message, severity)


@windows_rule("WGN423", "administrator-enabled", INFO, GENERALIZED)
def administrator_enabled(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Whether the built-in Administrator (number 500) is enabled.

    ## Why it matters
    Its password is that of the build until Azure's provisioning renames the account and sets the
    one that the user chose.

    ## How to fix
    Nothing needs to be done for machines that Azure provisions.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    """
    sam = guest.hive("SAM")
    for account in guest.accounts or ():
        if account.rid == ADMINISTRATOR and account.is_enabled and sam is not None:
            message = f"the built-in Administrator ({quoted(account.name)}) is enabled"
            yield value_hit(sam, account.key, "F", message)


@windows_rule("WGN424", "computer-name-kept", INFO, GENERALIZED)
def computer_name_kept(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Whether the stored computer name is one that somebody chose, not one that Setup made up.

    ## Why it matters
    Sysprep leaves the name in place; a sealed image gets a new one at its first start. In an image
    that is not sealed every machine has this name.

    ## How to fix
    Nothing needs to be done in a sealed image.

    ## Source
    - Sample hives: the name and CloneTag are there in installed machines, and prove nothing.
    """
    system, name = guest.system, guest.computer_name
    if system is not None and name and not MADE_UP_NAME.fullmatch(name):
        yield value_hit(system, _COMPUTER, "ComputerName", f"the computer name is {quoted(name)}")


@windows_rule("WGN425", "machine-guid-of-master", INFO, GENERALIZED)
def machine_guid_of_master(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Whether MachineGuid is stored in an image that is not sealed.

    ## Why it matters
    Licences and agents know machines by it. Setup makes a new one while it specializes a sealed
    image; machines of an image that is not sealed share it.

    ## How to fix
    Run Sysprep; do not write the value by hand.

    ## Source
    - Microsoft, "Sysprep (Generalize) a Windows installation"
    - It proves nothing about sealing, either way.
    """
    software = guest.software
    if software is None or guest.sysprep.is_armed:
        return
    guid = software.text(_CRYPTOGRAPHY, "MachineGuid")
    if guid:
        message = f"MachineGuid is {quoted(guid)}, which all machines of this image will share"
        yield value_hit(software, _CRYPTOGRAPHY, "MachineGuid", message)


@windows_rule("WGN426", "management-client-identity", INFO, GENERALIZED)
def management_client_identity(guest: WindowsGuest) -> Iterator[Hit]:
    r"""
    ## What it checks
    No identity of a client of WSUS (SusClientId) or Configuration Manager (\Windows\SMSCFG.ini,
    certificates in the store SMS).

    ## Why it matters
    Machines that share it overwrite each other at the server.

    ## How to fix
    Delete SusClientId and SusClientIDValidation, SMSCFG.ini and the certificates before sealing.

    ## Source
    - Microsoft, Configuration Manager, "Deploy clients using OS images"
    - Microsoft, KB 903262, "A cloned client does not appear in WSUS"
    """
    software = guest.software
    if software is not None and software.text(_UPDATE, "SusClientId"):
        yield value_hit(
            software, _UPDATE, "SusClientId", "the identity of a client of WSUS is left"
        )
    store = r"Microsoft\SystemCertificates\SMS\Certificates"
    key = None if software is None else software.key(store)
    names = [] if key is None else [certificate.name for certificate in key.subkeys()]
    if key is not None and names:
        yield key_hit(key, f"certificates of Configuration Manager are left: {listed(names)}")
    path = guest.path("SMSCFG.ini")
    if guest.tree.is_file(path):
        yield file_hit(path, "the identity of a client of Configuration Manager is left")
