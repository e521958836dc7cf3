"""Whether Sysprep has generalized and sealed Windows: what it leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.guest.windows.sysprep import (
    ACTIONS_LOG,
    ERRORS_LOG,
    IMAGE_STATE,
    SETUP,
    STATE_INI,
    STATUS,
    SYSPREP_STATUS,
    TAG,
    WANTED_STATE,
    WINDOWS_CONTROL,
)
from vhdtool.rules.windows.declare import ERROR, GENERALIZED, INFO, WARNING, windows_rule
from vhdtool.rules.windows.hits import described, file_hit, quoted, value_hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.windows.guest import WindowsGuest
    from vhdtool.rules.model import Hit

_STATE_MEANINGS = {
    "IMAGE_STATE_COMPLETE": "installed, not generalized",
    "IMAGE_STATE_UNDEPLOYABLE": "a phase of Setup or Sysprep has not finished",
    "IMAGE_STATE_SPECIALIZE_RESEAL_TO_OOBE": "resealed without /generalize",
    "IMAGE_STATE_SPECIALIZE_RESEAL_TO_AUDIT": "resealed without /generalize, for audit mode",
    "IMAGE_STATE_GENERALIZE_RESEAL_TO_AUDIT": "sealed for audit mode",
}
_STUCK = 3
_CLEANED_UP = 2
_SETTLING_SECONDS = 3600


def _meaning(state: str) -> str:
    meaning = _STATE_MEANINGS.get(state.upper())
    return f"{quoted(state)} ({meaning})" if meaning else quoted(state)


@windows_rule("WGN401", "image-state-not-generalized", ERROR, GENERALIZED)
def image_state_not_generalized(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    ImageState in the registry is `IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE`.

    ## Why it matters
    Azure provisions machines of a generalized image through the out-of-box experience. An image in
    any other state does not start it: provisioning times out, or the machine comes up with the old
    name and accounts. IMAGE_STATE_UNDEPLOYABLE means that a phase was interrupted.

    ## How to fix
    Start the machine and run `sysprep /generalize /oobe /shutdown`. It cannot be done offline.

    ## Source
    - Microsoft, "Windows Setup States"
    - hashicorp/packer-plugin-azure, docs/builders/arm.mdx waits for this value
    """
    software = guest.software
    if software is None:
        return
    state = software.text(IMAGE_STATE, "ImageState")
    if state is None or state.upper() != WANTED_STATE:
        found = "is not set" if state is None else f"is {_meaning(state)}"
        yield value_hit(
            software, IMAGE_STATE, "ImageState", f"ImageState {found}, expected {WANTED_STATE}"
        )


@windows_rule("WGN402", "state-ini-disagrees", ERROR, GENERALIZED)
def state_ini_disagrees(guest: WindowsGuest) -> Iterator[Hit]:
    r"""
    ## What it checks
    \Windows\Setup\State\State.ini has the same ImageState as the registry.

    ## Why it matters
    Setup writes both together. Where they differ, Sysprep or Setup was interrupted between the two,
    or somebody edited one of them. Microsoft's own test for generalization reads this file.

    ## How to fix
    Start the machine, let Setup finish, and run Sysprep again.

    ## Source
    - Microsoft, "Windows Setup States"
    - Azure/azure-diskinspect-service, manifests/windows/genspec
    """
    sysprep = guest.sysprep
    registry, ini = sysprep.image_state, sysprep.ini_state
    if registry is None:
        return
    if ini is None:
        if registry.upper() == WANTED_STATE:
            yield file_hit(
                STATE_INI,
                f"State.ini has no ImageState, expected {WANTED_STATE} as in the registry",
            )
    elif ini.upper() != registry.upper():
        message = f"ImageState is {_meaning(ini)}, expected {quoted(registry)} as in the registry"
        yield file_hit(STATE_INI, message, sysprep.ini_line, f"ImageState={ini}")


@windows_rule("WGN403", "sealed-for-audit-mode", ERROR, GENERALIZED)
def sealed_for_audit_mode(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The next start is not audit mode: ImageState does not end in RESEAL_TO_AUDIT and AuditBoot is 0.

    ## Why it matters
    In audit mode Windows logs on as the built-in Administrator and skips the out-of-box experience,
    so that Azure's provisioning never runs.

    ## How to fix
    Start the machine and run `sysprep /generalize /oobe /shutdown`.

    ## Source
    - Microsoft, "Windows Setup States" and "Sysprep (System Preparation) Overview"
    """
    software, system = guest.software, guest.system
    state = guest.sysprep.image_state or ""
    if software is not None and state.upper().endswith("_RESEAL_TO_AUDIT"):
        message = f"ImageState is {quoted(state)}, expected {WANTED_STATE}"
        yield value_hit(software, IMAGE_STATE, "ImageState", message)
    if system is not None and guest.sysprep.audit_boot:
        message = f"AuditBoot is {guest.sysprep.audit_boot}, expected 0"
        yield value_hit(system, STATUS, "AuditBoot", message)


@windows_rule("WGN404", "no-sysprep-tag", ERROR, GENERALIZED)
def no_sysprep_tag(guest: WindowsGuest) -> Iterator[Hit]:
    r"""
    ## What it checks
    `\Windows\System32\Sysprep\Sysprep_succeeded.tag` exists.

    ## Why it matters
    Sysprep removes the file when it starts and writes it when everything has succeeded. Without it
    Sysprep was never run, or failed.

    ## How to fix
    Start the machine, read `\Windows\System32\Sysprep\Panther\setuperr.log`, remove the cause, and
    run Sysprep again.

    ## Source
    - MicrosoftDocs/SupportArticles-docs, Sysprep pages, whose logs show FCreateTagFile
    """
    if not guest.sysprep.has_tag:
        yield file_hit(TAG, "Sysprep_succeeded.tag is missing, expected as the mark of success")


@windows_rule("WGN405", "oobe-not-armed", WARNING, GENERALIZED)
def oobe_not_armed(guest: WindowsGuest) -> Iterator[Hit]:
    r"""
    ## What it checks
    SYSTEM\Setup has SetupType 2 and a CmdLine that names windeploy.exe.

    ## Why it matters
    That is how the next start continues Setup. With SetupType 0 Windows starts as an installed
    machine: no new identity, no provisioning.

    ## How to fix
    Start the machine and run Sysprep again. Do not set the values by hand.

    ## Source
    - Values of installed systems (0 and empty) are those of sample hives.
    - The armed values are reported alike by several public projects that work on images; no page of
    Microsoft's states them, hence a warning.
    """
    system, sysprep = guest.system, guest.sysprep
    if system is None or sysprep.setup_type is None or sysprep.is_armed:
        return
    command = quoted(sysprep.command or "")
    yield value_hit(
        system,
        SETUP,
        "SetupType",
        f'SetupType is {sysprep.setup_type} and CmdLine "{command}", expected 2 and '
        r"oobe\windeploy.exe",
    )


@windows_rule("WGN406", "generalization-state-is-no-proof", INFO)
def generalization_state_is_no_proof(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Whether GeneralizationState is 7 in a machine that is not generalized.

    ## Why it matters
    Many guides read 7 as "generalized". It is the resting value: machines that Sysprep has never
    touched have it as well. Judge by ImageState, State.ini and Sysprep's tag.

    ## How to fix
    Nothing needs to be done. Do not write the value by hand to make Sysprep run.

    ## Source
    - Four of four sample hives of ordinary machines have 7 (Windows 7 to 10, 2012 R2).
    - No page of Microsoft's that explains the values was found.
    """
    system, sysprep = guest.system, guest.sysprep
    if system is None or sysprep.generalization_state != 7 or sysprep.image_state is None:
        return
    if sysprep.image_state.upper() != WANTED_STATE:
        yield value_hit(
            system,
            SYSPREP_STATUS,
            "GeneralizationState",
            f"GeneralizationState is 7, but ImageState is {quoted(sysprep.image_state)}: 7 does "
            "not mean that the machine is generalized",
        )


@windows_rule("WGN407", "sysprep-failed", WARNING, GENERALIZED)
def sysprep_failed(guest: WindowsGuest) -> Iterator[Hit]:
    r"""
    ## What it checks
    No mark of a Sysprep that failed: GeneralizationState 3, CleanupState other than 2, or errors in
    `\Windows\System32\Sysprep\Panther\setuperr.log` while the tag of success is missing.

    ## Why it matters
    A failed run may have removed part of the machine's identity. A second run often refuses to
    start ("the machine is in an invalid state").

    ## How to fix
    Go back to a snapshot from before the run, remove the cause that the log names, and run Sysprep
    again.

    ## Source
    - MicrosoftDocs/SupportArticles-docs, Sysprep pages, for the log
    - GeneralizationState 3 and CleanupState are known from reports of users only, hence a warning.
    """
    system, sysprep = guest.system, guest.sysprep
    if system is not None and sysprep.generalization_state == _STUCK:
        message = "GeneralizationState is 3, as a Sysprep that stopped half way leaves it"
        yield value_hit(system, SYSPREP_STATUS, "GeneralizationState", message)
    if system is not None and sysprep.cleanup_state not in (None, _CLEANED_UP):
        value = described(system.value(SYSPREP_STATUS, "CleanupState"))
        message = f"CleanupState {value}, expected {_CLEANED_UP}"
        yield value_hit(system, SYSPREP_STATUS, "CleanupState", message)
    if sysprep.errors and not sysprep.has_tag:
        first = sysprep.errors[0]
        count = len(sysprep.errors)
        lines = "1 line" if count == 1 else f"{count} lines"
        yield file_hit(
            ERRORS_LOG,
            f"Sysprep's log of errors has {lines} and its tag of success is missing; the first: "
            f"{quoted(first.text.strip(), 160)}",
            first.number,
            first.text,
        )


_KNOWN_FAILURES = {
    "0x0f0073": "the machine is in an invalid state, usually from an earlier run that failed",
    "0xc004d307": "the number of rearms is used up",
    "0x80073cf2": "a Store app is installed for a user, but not provisioned for all",
}


@windows_rule("WGN408", "known-sysprep-error", WARNING, GENERALIZED)
def known_sysprep_error(guest: WindowsGuest) -> Iterator[Hit]:
    r"""
    ## What it checks
    Sysprep's logs in \Windows\System32\Sysprep\Panther name none of the failures whose causes are
    known: 0x0f0073 with dwRet = 31, 0xc004d307, 0x80073cf2. Lines before a run that succeeded in
    the same log are left alone.

    ## Why it matters
    They say why the image is not generalized.

    ## How to fix
    0x80073cf2: remove the app for all users, or provision it. 0xc004d307: build the image anew from
    installation media. 0x0f0073: go back to a snapshot from before the first run.

    ## Source
    - MicrosoftDocs/SupportArticles-docs, Sysprep troubleshooting pages
    """
    if guest.sysprep.has_tag:
        return
    for path, lines in ((ERRORS_LOG, guest.sysprep.errors), (ACTIONS_LOG, guest.sysprep.actions)):
        told = set()
        for line in lines:
            lowered = line.text.lower()
            for code, cause in _KNOWN_FAILURES.items():
                if code in lowered and "error" in lowered and code not in told:
                    told.add(code)
                    yield file_hit(
                        path, f"Sysprep failed with {code}: {cause}", line.number, line.text
                    )
        if told:
            return


@windows_rule("WGN419", "sysprep-run-as-system", INFO, GENERALIZED)
def sysprep_run_as_system(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Sysprep's log of actions does not name SYSTEM as the user that ran it.

    ## Why it matters
    Since 2025 machines of Windows 11 24H2 and 25H2 images that SYSTEM sealed may come up with a
    black screen, since Store apps were not registered.

    ## How to fix
    Run Sysprep as a local administrator: not from a service, a scheduled task of SYSTEM, or an
    extension.

    ## Source
    - MicrosoftDocs/SupportArticles-docs, Sysprep troubleshooting pages
    - How the log words it was not seen on a sample; only lines with both "user" and "SYSTEM" count.
    """
    for line in guest.sysprep.actions:
        words = line.text.upper()
        if "SYSPRP" in words and "USER" in words and "NT AUTHORITY\\SYSTEM" in words:
            message = f"Sysprep was run by SYSTEM: {quoted(line.text.strip(), 160)}"
            yield file_hit(ACTIONS_LOG, message, line.number, line.text)
            return


@windows_rule("WGN420", "sysprep-mode-vm", INFO, GENERALIZED)
def sysprep_mode_vm(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Sysprep was not run with /mode:vm.

    ## Why it matters
    With it Windows keeps the devices of the machine that it was sealed on, which is right only
    where machines run on the same hypervisor: an image made elsewhere may miss Azure's devices.

    ## How to fix
    If the image was not sealed in Azure or Hyper-V, run Sysprep again without /mode:vm.

    ## Source
    - Microsoft, "Sysprep (System Preparation) Overview"
    - Documents of Azure disagree: recipes of Packer use it, another page forbids it (azure-docs
    issue 81744), hence only a line.
    """
    for line in guest.sysprep.actions:
        words = line.text.upper()
        if "/MODE:VM" in words or ("COMMAND LINE OPTION" in words and "'MODE'" in words):
            message = f"Sysprep was run with /mode:vm: {quoted(line.text.strip(), 160)}"
            yield file_hit(ACTIONS_LOG, message, line.number, line.text)
            return


@windows_rule("WGN429", "started-after-sealing", ERROR, GENERALIZED)
def started_after_sealing(guest: WindowsGuest) -> Iterator[Hit]:
    r"""
    ## What it checks
    Windows was not started after Sysprep: none of the files that a start writes, WaSetup.xml and
    UnattendGC\setupact.log in \Windows\Panther, is newer than the tag, and Windows was shut down
    within an hour of it.

    ## Why it matters
    The first start uses up the seal: it makes the identity that machines of the image were to make.

    ## How to fix
    Run Sysprep again, and take the disk after it has shut the machine down.

    ## Source
    - Azure, "Remove machine specific information by deprovisioning or generalizing a VM": do not
    start it again
    - A later shutdown alone is only a warning: `sysprep /quit` leaves the machine running.
    """
    system, sysprep = guest.system, guest.sysprep
    for path in sysprep.newer_files:
        yield file_hit(path, "written after Sysprep's tag, expected before it: Windows was started")
    if sysprep.newer_files or sysprep.tag_time is None or sysprep.shutdown_time is None:
        return
    late = sysprep.shutdown_time - sysprep.tag_time
    if system is not None and late > _SETTLING_SECONDS:
        yield value_hit(
            system,
            WINDOWS_CONTROL,
            "ShutdownTime",
            f"Windows was last shut down {late} seconds after Sysprep's tag was written, "
            f"expected at most {_SETTLING_SECONDS}",
            WARNING,
        )
