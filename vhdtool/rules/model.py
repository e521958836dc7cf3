"""Rules and what they find."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from vhdtool.disk.facts import DiskFacts


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"  # upload, boot, provisioning or certification fails
    WARNING = "warning"  # a documented recommendation, or breaks only in some flows
    INFO = "info"  # worth a line, never a gate

    @property
    def rank(self) -> int:
        """Order: the worse, the higher."""
        return {"info": 1, "warning": 2, "error": 3}[self.value]


class Profile(StrEnum):
    """What the image is meant for."""

    GEN1 = "azure-gen1"
    GEN2 = "azure-gen2"
    DATA_DISK = "data-disk"
    GENERALIZED = "generalized"
    SPECIALIZED = "specialized"
    MARKETPLACE = "marketplace"


class Subject(StrEnum):
    """What a rule looks at: the facts that its check takes."""

    DISK = "disk"  # DiskFacts: the container and the partition tables
    GUEST = "guest"  # Guest: what is inside, of whatever system
    LINUX = "linux"  # LinuxGuest
    WINDOWS = "windows"  # WindowsGuest


@dataclass(frozen=True, slots=True)
class FileLocation:
    """A place in the image file; bytes."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class DiskLocation:
    """A place on the virtual disk; bytes."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class GuestLocation:
    """A file of the guest, and a line in it, from 1, where there is one."""

    path: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class RegistryLocation:
    """A key of a registry hive, and a value of it where there is one."""

    hive: str  # SYSTEM, SOFTWARE, SAM, BCD, ...
    key: str
    value: str | None = None


Location = FileLocation | DiskLocation | GuestLocation | RegistryLocation


@dataclass(frozen=True, slots=True)
class Hit:
    """What a rule yields: one sentence, lower case, actual value and expected one, no advice."""

    message: str
    location: Location | None = None
    evidence: bytes = b""  # the bytes at the location that show it, at most 64
    severity: Severity | None = None  # where one case is milder or worse than its rule


@dataclass(frozen=True, slots=True)
class Documentation:
    """The fixed parts of a rule's docstring."""

    what: str
    why: str
    fix: str
    source: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A check with its documentation.

    Attributes:
        code: Family and number, never reused: `VHD007`.
        name: Kebab case, names the fault, so that "ignore NAME" reads right.
        profiles: What the rule applies to; empty means everything.
        subject: What its check takes.
    """

    code: str
    name: str
    severity: Severity
    profiles: frozenset[Profile]
    since: str
    documentation: Documentation
    check: Callable[[Any], Iterator[Hit]]
    subject: Subject = Subject.DISK


@dataclass(frozen=True, slots=True)
class Finding:
    """A hit and the rule that it hits; `severity` may be lower than the rule's for one hit."""

    rule: Rule
    hit: Hit
    severity: Severity


@dataclass(frozen=True, slots=True)
class RuleFailure:
    """A rule that crashed: a bug of ours, never silence."""

    code: str
    error: str


@dataclass(frozen=True, slots=True)
class GuestOutcome:
    """What was found on the disk of an image.

    Attributes:
        system: `linux`, `windows`, `bsd`; `none` on a data disk, `unknown` where it cannot be told.
        summary: The system in a few words, empty where there is none.
        gaps: What could not be read, one sentence each; rules that need it found nothing.
        subjects: What rules were run over, besides the disk.
    """

    system: str
    summary: str
    gaps: tuple[str, ...]
    subjects: frozenset[Subject]


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of checking one image."""

    path: Path
    facts: DiskFacts | None  # None: the file could not be opened at all (`error`)
    profiles: tuple[Profile, ...]
    findings: tuple[Finding, ...]  # worst first, then by code
    failures: tuple[RuleFailure, ...]
    error: str | None  # the file could not be read
    hint: str | None = None
    guest: GuestOutcome | None = None  # None: not looked at
