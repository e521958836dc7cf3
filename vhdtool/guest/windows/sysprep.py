"""How far Setup and Sysprep have come, by the registry, State.ini, the tag and the logs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vhdtool.guest.windows.text import filetime

if TYPE_CHECKING:
    from vhdtool.guest.windows.guest import WindowsGuest

IMAGE_STATE = r"Microsoft\Windows\CurrentVersion\Setup\State"
SETUP, STATUS = "Setup", r"Setup\Status"
SYSPREP_STATUS = r"Setup\Status\SysprepStatus"
WINDOWS_CONTROL = r"CurrentControlSet\Control\Windows"
STATE_INI = "/Windows/Setup/State/State.ini"
TAG = "/Windows/System32/Sysprep/Sysprep_succeeded.tag"
ACTIONS_LOG = "/Windows/System32/Sysprep/Panther/setupact.log"
ERRORS_LOG = "/Windows/System32/Sysprep/Panther/setuperr.log"
COMPLETE = "IMAGE_STATE_COMPLETE"
UNDEPLOYABLE = "IMAGE_STATE_UNDEPLOYABLE"
WANTED_STATE = "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE"
_INI_STATE = re.compile(r"\s*ImageState\s*=\s*(\S*)\s*", re.IGNORECASE)
# Files that a start after sealing writes, and sealing itself does not.
_WRITTEN_BY_STARTS = (
    "/Windows/Panther/WaSetup.xml",
    "/Windows/Panther/UnattendGC/setupact.log",
)


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of a log, numbered from 1."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Sysprep:
    """The marks of Setup and Sysprep; None where one is not there.

    Attributes:
        image_state: ImageState of the registry.
        ini_state: ImageState of State.ini; `ini_line` is its line.
        has_tag: Whether Sysprep's tag of success is there.
        tag_time: When it was written, in seconds since 1970-01-01 UTC.
        setup_type: 2 where Setup continues at the next start; 0 in an installed system.
        command: What is started then.
        audit_boot: Not 0 where the next start goes to audit mode.
        shutdown_time: Of the last orderly shutdown, in seconds since 1970-01-01 UTC.
        actions: Lines of Sysprep's log of actions.
        errors: Lines of its log of errors.
        newer_files: What a start of Windows wrote after the tag.
    """

    image_state: str | None = None
    ini_state: str | None = None
    ini_line: int | None = None
    has_tag: bool = False
    tag_time: int | None = None
    setup_type: int | None = None
    command: str | None = None
    setup_in_progress: int | None = None
    oobe_in_progress: int | None = None
    audit_boot: int | None = None
    generalization_state: int | None = None
    cleanup_state: int | None = None
    shutdown_time: int | None = None
    actions: tuple[LogLine, ...] = ()
    errors: tuple[LogLine, ...] = ()
    newer_files: tuple[str, ...] = ()

    @property
    def is_armed(self) -> bool | None:
        """Whether the next start runs OOBE; None where the registry does not say."""
        if self.setup_type is None:
            return None
        return self.setup_type == 2 and "windeploy" in (self.command or "").lower()

    @property
    def states(self) -> tuple[str, ...]:
        """ImageState of the registry and of State.ini, those that there are, in upper case."""
        found = (self.image_state, self.ini_state)
        return tuple(state.upper() for state in found if state is not None)


def read_sysprep(guest: WindowsGuest) -> Sysprep:
    """Collect the marks."""
    system, software, tree = guest.system, guest.software, guest.tree
    ini_state, ini_line = _ini_state(guest)
    tag = tree.stat(TAG)
    tag_time = tag.modified if tag is not None and tag.modified > 0 else None
    newer = []
    if tag_time is not None:
        for path in _WRITTEN_BY_STARTS:
            stat = tree.stat(path)
            if stat is not None and stat.modified > tag_time:
                newer.append(path)
    shutdown = None if system is None else system.value(WINDOWS_CONTROL, "ShutdownTime")

    def number(path: str, name: str) -> int | None:
        return None if system is None else system.number(path, name)

    return Sysprep(
        None if software is None else software.text(IMAGE_STATE, "ImageState"),
        ini_state,
        ini_line,
        tag is not None,
        tag_time,
        number(SETUP, "SetupType"),
        None if system is None else system.text(SETUP, "CmdLine"),
        number(SETUP, "SystemSetupInProgress"),
        number(SETUP, "OOBEInProgress"),
        number(STATUS, "AuditBoot"),
        number(SYSPREP_STATUS, "GeneralizationState"),
        number(SYSPREP_STATUS, "CleanupState"),
        None if shutdown is None else filetime(shutdown.data),
        _log(guest, ACTIONS_LOG),
        _log(guest, ERRORS_LOG),
        tuple(newer),
    )


def _ini_state(guest: WindowsGuest) -> tuple[str | None, int | None]:
    for number, line in enumerate(guest.lines(STATE_INI) or (), 1):
        match = _INI_STATE.fullmatch(line)
        if match is not None:
            return match[1], number
    return None, None


def _log(guest: WindowsGuest, path: str) -> tuple[LogLine, ...]:
    lines = guest.lines(path) or ()
    return tuple(LogLine(number, line) for number, line in enumerate(lines, 1) if line.strip())
