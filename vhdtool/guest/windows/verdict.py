"""Whether a Windows guest is ready for new machines.

The value GeneralizationState is never evidence: it is 7 on ordinary machines that Sysprep has never
touched, as well as on sealed ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.errors import GuestError
from vhdtool.guest.verdict import Evidence, State, Verdict
from vhdtool.guest.windows.sysprep import (
    COMPLETE,
    ERRORS_LOG,
    IMAGE_STATE,
    SETUP,
    STATE_INI,
    STATUS,
    TAG,
    UNDEPLOYABLE,
    WANTED_STATE,
)
from vhdtool.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.windows.guest import WindowsGuest
    from vhdtool.guest.windows.sysprep import Sysprep

CAPTURED = "captured-machine"
FAILED = "failed-sysprep"
UNFINISHED = "unfinished-sysprep"
AUDIT = "audit-reseal"
STARTED = "started-after-sealing"
NOT_GENERALIZED = "resealed-without-generalize"
_ERROR_CODES = ("0x0f0073", "0xc004d307", "0x80073cf2", "0x0f0082", "0x0f00a8")


def judge(guest: WindowsGuest) -> Verdict:
    """Decide by ImageState, State.ini, the tag and what is armed for the next start."""
    unread = []
    for name in ("SOFTWARE", "SYSTEM"):
        try:
            if guest.hive(name) is None:
                unread.append(f"there is no hive {name}")
        except GuestError as error:
            unread.append(f"hive {name}: {error}")
    if unread:
        return Verdict(State.UNCLEAR, unread[0], unread=tuple(unread))
    try:
        sysprep = guest.sysprep
        histories = tuple(_histories(guest, sysprep))
        evidence = sorted(_evidence(guest, sysprep), key=lambda piece: not piece.decisive)
    except GuestError as error:
        return Verdict(State.UNCLEAR, str(error), unread=(str(error),))
    state, summary = _decide(sysprep, histories)
    return Verdict(state, summary, tuple(evidence), histories)


def _decide(sysprep: Sysprep, histories: tuple[str, ...]) -> tuple[State, str]:
    states = set(sysprep.states)
    if not states:
        return State.UNCLEAR, "neither the registry nor State.ini has an ImageState"
    if len(states) > 1:
        registry, ini = (printable(state) for state in sysprep.states)
        return State.INCONSISTENT, f"ImageState is {registry} in the registry, {ini} in State.ini"
    (state,) = states
    if state == COMPLETE:
        return State.SPECIALIZED, "ImageState is IMAGE_STATE_COMPLETE: an installed machine"
    if state == UNDEPLOYABLE:
        return State.INCONSISTENT, "ImageState is IMAGE_STATE_UNDEPLOYABLE: Setup has not finished"
    if state.startswith("IMAGE_STATE_SPECIALIZE_"):
        return State.SPECIALIZED, f"ImageState is {state}: resealed, but not generalized"
    if state != WANTED_STATE:
        if state.endswith("_TO_AUDIT"):
            return State.INCONSISTENT, f"ImageState is {state}: the next start is audit mode"
        return State.UNCLEAR, f"ImageState is {printable(state)}, which is not known"
    missing = []
    if sysprep.image_state is None:
        missing.append("the registry has no ImageState")
    if sysprep.ini_state is None:
        missing.append("State.ini has no ImageState")
    if not sysprep.has_tag:
        missing.append("Sysprep_succeeded.tag is missing")
    if not sysprep.is_armed:
        missing.append("the next start does not run OOBE")
    if sysprep.audit_boot:
        missing.append("the next start is audit mode")
    if STARTED in histories:
        missing.append("Windows was started after sealing")
    if missing:
        return State.INCONSISTENT, f"ImageState is {WANTED_STATE}, but {', '.join(missing)}"
    return State.GENERALIZED, f"ImageState is {WANTED_STATE}, with Sysprep's tag, armed for OOBE"


def _histories(guest: WindowsGuest, sysprep: Sysprep) -> Iterator[str]:
    states = set(sysprep.states)
    if guest.agent.provisioned or guest.agent.has_logs:
        yield CAPTURED
    if any(state.endswith("_TO_AUDIT") for state in states) or sysprep.audit_boot:
        yield AUDIT
    if any(state.startswith("IMAGE_STATE_SPECIALIZE_") for state in states):
        yield NOT_GENERALIZED
    if not sysprep.has_tag and states != {COMPLETE} and sysprep_errors(sysprep):
        yield FAILED
    elif UNDEPLOYABLE in states or (len(states) > 1 and WANTED_STATE in states):
        yield UNFINISHED
    if sysprep.has_tag and (sysprep.newer_files or COMPLETE in states):
        yield STARTED


def sysprep_errors(sysprep: Sysprep) -> list[tuple[str, int, str]]:
    """Lines of Sysprep's logs that name a known failure or are in the log of errors.

    Returns:
        The file, the line's number and the line, those with a known code first.
    """
    errors = [(ERRORS_LOG, line.number, line.text) for line in sysprep.errors]
    return sorted(errors, key=lambda error: not any(c in error[2].lower() for c in _ERROR_CODES))


def _evidence(guest: WindowsGuest, sysprep: Sysprep) -> Iterator[Evidence]:
    yield from _state_evidence(sysprep)
    yield Evidence(
        "sysprep-tag",
        State.GENERALIZED if sysprep.has_tag else State.SPECIALIZED,
        "Sysprep_succeeded.tag is there" if sysprep.has_tag else "no Sysprep_succeeded.tag",
        TAG,
    )
    if sysprep.setup_type is not None:
        armed = State.GENERALIZED if sysprep.is_armed else State.SPECIALIZED
        text = f'SetupType is {sysprep.setup_type}, CmdLine "{printable(sysprep.command or "")}"'
        yield Evidence("setup-armed", armed, text, "SYSTEM", key=SETUP, value="SetupType")
    if sysprep.audit_boot:
        text = f"AuditBoot is {sysprep.audit_boot}"
        yield Evidence(AUDIT, State.SPECIALIZED, text, "SYSTEM", key=STATUS, value="AuditBoot")
    for path in sysprep.newer_files:
        text = "written after Sysprep's tag: Windows was started after sealing"
        yield Evidence(STARTED, State.SPECIALIZED, text, path, decisive=True)
    if not sysprep.has_tag:
        for path, number, line in sysprep_errors(sysprep)[:3]:
            text = f"Sysprep's log: {printable(line.strip()[:200])}"
            yield Evidence("sysprep-error", State.SPECIALIZED, text, path, line=number)
    for path in guest.agent.provisioned:
        yield Evidence("provisioned", State.SPECIALIZED, "written by Azure's provisioning", path)


def _state_evidence(sysprep: Sysprep) -> Iterator[Evidence]:
    for name, state, path, line, key in (
        ("image-state", sysprep.image_state, "SOFTWARE", None, IMAGE_STATE),
        ("state-ini", sysprep.ini_state, STATE_INI, sysprep.ini_line, None),
    ):
        if state is None:
            continue
        sealed = state.upper() == WANTED_STATE
        yield Evidence(
            name,
            State.GENERALIZED if sealed else State.SPECIALIZED,
            f"ImageState is {printable(state)}",
            path,
            line=line,
            key=key,
            value=None if key is None else "ImageState",
            decisive=True,
        )
