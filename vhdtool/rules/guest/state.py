"""What a guest is, and whether that is what is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.guest.systems import SystemKind
from vhdtool.guest.verdict import State
from vhdtool.rules.guest.declare import (
    DATA_DISK,
    ERROR,
    GENERALIZED,
    INFO,
    MARKETPLACE,
    SPECIALIZED,
    WARNING,
    guest_rule,
)
from vhdtool.rules.linux.hits import listed
from vhdtool.rules.model import GuestLocation, Hit, RegistryLocation
from vhdtool.rules.windows import generic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.guest import Guest
    from vhdtool.guest.verdict import Evidence, Verdict
    from vhdtool.rules.model import Location


def location(evidence: Evidence | None) -> Location | None:
    """Return where a piece of evidence stands."""
    if evidence is None:
        return None
    if evidence.key is not None:
        return RegistryLocation(evidence.path, evidence.key, evidence.value)
    return GuestLocation(evidence.path, evidence.line)


def _verdict(guest: Guest) -> Verdict | None:
    if guest.linux is not None:
        return guest.linux.verdict
    return None if guest.windows is None else guest.windows.verdict


@guest_rule("GEN201", "guest-not-identified", INFO)
def guest_not_identified(guest: Guest) -> Iterator[Hit]:
    """
    ## What it checks
    A disk with the files of an operating system says which one it is: by os-release on Linux, by
    the hives on Windows. A disk without any system has no finding.

    ## Why it matters
    Many rules are for one distribution only, and are not judged otherwise.

    ## How to fix
    Restore /etc/os-release. Of a disk that could not be read, the gaps say why.

    ## Source
    - os-release(5)
    """
    if guest.windows is not None:
        yield from generic.not_identified(guest.windows)
    if guest.kind is SystemKind.UNKNOWN:
        yield Hit("a volume that could not be read may hold an operating system")
    elif guest.linux is not None and guest.linux.release is None:
        yield Hit("the guest is some Linux, expected an os-release that names it")


@guest_rule("GEN202", "not-generalized", ERROR, GENERALIZED)
def not_generalized(guest: Guest) -> Iterator[Hit]:
    """
    ## What it checks
    A guest that is to be generalized is: the verdict is not specialized, and not inconsistent.

    ## Why it matters
    Azure waits for a new machine to set itself up. One that does not times out, or keeps the old
    name and users.

    ## How to fix
    `waagent -deprovision+user -force` on Linux, Sysprep on Windows; then do not start it again.

    ## Source
    - Azure, "Provisioning errors with custom images" and "Generalize a virtual machine"
    """
    yield from _not_generalized(guest)


def _not_generalized(guest: Guest) -> Iterator[Hit]:
    verdict = _verdict(guest)
    if verdict is None or verdict.state not in (State.SPECIALIZED, State.INCONSISTENT):
        return
    yield Hit(
        f"the guest is {verdict.state}: {verdict.summary}",
        location(next(iter(verdict.contrary), None)),
    )


@guest_rule("MKT616", "marketplace-not-generalized", ERROR, MARKETPLACE)
def marketplace_not_generalized(guest: Guest) -> Iterator[Hit]:
    """
    ## What it checks
    What GEN202 checks, as a condition of certification.

    ## Why it matters
    The Marketplace makes new machines of every image.

    ## How to fix
    See GEN202.

    ## Source
    - Azure Marketplace, certification FAQ
    """
    yield from _not_generalized(guest)


@guest_rule("GEN203", "generalized-as-specialized", ERROR, SPECIALIZED)
def generalized_as_specialized(guest: Guest) -> Iterator[Hit]:
    """
    ## What it checks
    A guest that is to stay as it is has not been generalized. Where nothing proves that it was, on
    a Linux that simply belongs to nobody, this is a warning.

    ## Why it matters
    Azure sets up nothing on it: Windows waits in its setup, Linux has no user.

    ## How to fix
    Upload it as generalized.

    ## Source
    - Azure, "Provisioning errors with custom images"
    """
    verdict = _verdict(guest)
    if verdict is None or verdict.state is not State.GENERALIZED:
        return
    proven = guest.linux is None or "waagent-deprovisioned" in verdict.histories
    yield Hit(
        f"the guest is generalized: {verdict.summary}",
        location(next(iter(verdict.supporting), None)),
        severity=None if proven else WARNING,
    )


@guest_rule("GEN204", "nobody-can-log-in", WARNING, SPECIALIZED)
def nobody_can_log_in(guest: Guest) -> Iterator[Hit]:
    """
    ## What it checks
    A guest that is to stay as it is has an account that can log in: with a password or a key on
    Linux, an enabled local account or a domain on Windows.

    ## Why it matters
    Azure makes no user on it: nobody gets in.

    ## How to fix
    Make an account, or reset one through the agent's extension VMAccess.

    ## Source
    - Azure, "Generalize a virtual machine": specialized images keep their users
    """
    if guest.windows is not None:
        yield from generic.nobody_can_log_in(guest.windows)
    linux = guest.linux
    if linux is None or not linux.passwords:
        return
    able = {account.name for account in linux.accounts if account.can_log_in}
    if any(one.is_usable and one.name in able for one in linux.passwords):
        return
    if not linux.authorized_keys():
        path = linux.passwords[0].line.path
        yield Hit("no account has a password or a key, expected one of them", GuestLocation(path))


@guest_rule("GEN219", "provisioned-in-azure-before", INFO)
def provisioned_in_azure_before(guest: Guest) -> Iterator[Hit]:
    """
    ## What it checks
    The guest has not been a machine in Azure before.

    ## Why it matters
    Nothing is wrong with it. Whoever looks for leftovers knows whose they are.

    ## How to fix
    Nothing needs to be done.

    ## Source
    - Azure/WALinuxAgent, azurelinuxagent/pa/provision; canonical/cloud-init, DataSourceAzure.py
    """
    if guest.windows is not None:
        yield from generic.provisioned_before(guest.windows)
    verdict = None if guest.linux is None else guest.linux.verdict
    if verdict is None:
        return
    marks = [one for one in verdict.contrary if one.name in ("provisioned-sentinel", "agent-state")]
    if marks:
        yield Hit(f"waagent has set up this guest: {marks[0].text}", location(marks[0]))
        return
    path = "/var/lib/cloud/data/previous-datasource"
    text = "" if guest.linux is None else guest.linux.files.text(path) or ""
    if "DataSourceAzure" in text:
        yield Hit("cloud-init has set up this guest with Azure's data", GuestLocation(path))


@guest_rule("DSK138", "several-systems", WARNING)
def several_systems(guest: Guest) -> Iterator[Hit]:
    """
    ## What it checks
    The disk has one operating system only.

    ## Why it matters
    Azure starts one, and its tools may look at the other.

    ## How to fix
    Remove the partitions of the system that is not wanted.

    ## Source
    - No page of Azure's says so; its disk inspection takes the first system that it finds.
    """
    if len(guest.systems) > 1:
        places = listed([f"{system.kind} on {system.place}" for system in guest.systems])
        yield Hit(f"there are {len(guest.systems)} systems: {places}, expected one")


@guest_rule("DSK144", "file-system-not-read", INFO)
def file_system_not_read(guest: Guest) -> Iterator[Hit]:
    """
    ## What it checks
    Every volume that may hold a system could be read.

    ## Why it matters
    What was not read was not judged.

    ## How to fix
    The report's gaps say what was not read, and why.

    ## Source
    - vhdtool: nothing that was not looked at counts as good
    """
    for volume in guest.volumes:
        if volume.is_unread or volume.is_damaged:
            yield Hit(f"{volume.name} was not read: {volume.reason}")


@guest_rule("MKT626", "system-on-data-disk", INFO, DATA_DISK)
def system_on_data_disk(guest: Guest) -> Iterator[Hit]:
    """
    ## What it checks
    A disk that is to be a data disk has no operating system.

    ## Why it matters
    It may be the wrong file.

    ## How to fix
    Check that it is the disk that is meant.

    ## Source
    - Azure Marketplace, certification FAQ
    """
    if guest.systems:
        first = guest.systems[0]
        yield Hit(f"there is a system: {first.kind} on {first.place}, expected data only")
