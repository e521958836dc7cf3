"""Run the rules of guests in a worker, and bring back what they found as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vhdtool.errors import GuestError
from vhdtool.guest.guest import find_guest
from vhdtool.guest.systems import SystemKind
from vhdtool.guest.worker import WorkerEnded, work_apart
from vhdtool.rules.model import (
    DiskLocation,
    FileLocation,
    Finding,
    GuestLocation,
    GuestOutcome,
    Hit,
    RegistryLocation,
    RuleFailure,
    Severity,
    Subject,
)
from vhdtool.rules.running import is_for

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from vhdtool.disk.facts import PartitionFacts
    from vhdtool.disk.image import Image
    from vhdtool.guest.guest import Guest
    from vhdtool.guest.worker import Limits, Send
    from vhdtool.rules.model import Location, Profile, Rule

_LOCATIONS: dict[str, type[Location]] = {
    "file": FileLocation,
    "disk": DiskLocation,
    "guest": GuestLocation,
    "registry": RegistryLocation,
}

_MOST_LISTED = 8


@dataclass(slots=True)
class Inside:
    """What came back from a worker that looked at a guest, as far as it got."""

    kind: SystemKind = SystemKind.UNKNOWN
    summary: str = ""
    gaps: list[str] = field(default_factory=list)
    subjects: set[Subject] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)
    failures: list[RuleFailure] = field(default_factory=list)
    unjudged: dict[str, list[str]] = field(default_factory=dict)  # codes of rules by the reason

    @property
    def outcome(self) -> GuestOutcome:
        """What a report says of the guest."""
        gaps = [
            f"{_listed(codes)} not judged whole: {reason}"
            for reason, codes in self.unjudged.items()
        ]
        return GuestOutcome(self.kind, self.summary, (*self.gaps, *gaps), frozenset(self.subjects))


def _listed(codes: list[str]) -> str:
    if len(codes) == 1:
        return f"{codes[0]} is"
    more = len(codes) - _MOST_LISTED
    return f"{', '.join(codes[:_MOST_LISTED])}{f' and {more} more' if more > 0 else ''} are"


def look_inside(
    image: Image,
    layout: PartitionFacts,
    rules: Iterable[Rule],
    profiles_of: Callable[[SystemKind], Collection[Profile]],
    limits: Limits | None = None,
) -> Inside:
    """Find the guest on a disk and run the rules that are for it, in a worker.

    Args:
        image: The disk, open.
        layout: Its partitions.
        rules: All that were selected; those of the container are left out.
        profiles_of: Tells what the image is judged for, from the kind of its system.
        limits: What the worker may take.
    """
    by_code = {rule.code: rule for rule in rules if rule.subject is not Subject.DISK}
    inside = Inside()
    doing = "its guest was looked for"

    def task(send: Send) -> None:
        _judge(find_guest(image, layout), by_code.values(), profiles_of, send)

    try:
        for what, *data in work_apart(task, limits):
            if what == "judging":
                doing = f"{data[0]} was judged"
            else:
                _keep(inside, by_code, what, data)
    except WorkerEnded as error:
        inside.gaps.append(f"the guest was not looked at whole: while {doing}, {error}")
    except GuestError as error:
        inside.gaps.append(f"the guest was not looked at whole: {error}")
    return inside


def _judge(
    guest: Guest,
    rules: Collection[Rule],
    profiles_of: Callable[[SystemKind], Collection[Profile]],
    send: Send,
) -> None:
    """Judge a guest, in the worker; what is found is sent at once, lest it be lost with it."""
    send(["guest", guest.kind, guest.summary, list(guest.gaps)])
    profiles = profiles_of(guest.kind)
    for subject, model in _subjects(guest):
        send(["subject", subject])
        for rule in rules:
            if rule.subject is subject and is_for(rule, profiles):
                send(["judging", rule.code])
                _run(rule, model, send)


def _subjects(guest: Guest) -> list[tuple[Subject, Any]]:
    """Return the models that rules can judge, by the subject of the rules."""
    found: list[tuple[Subject, Any]] = [(Subject.GUEST, guest)]
    if guest.linux is not None:
        found.append((Subject.LINUX, guest.linux))
    if guest.windows is not None:
        found.append((Subject.WINDOWS, guest.windows))
    return found


def _run(rule: Rule, model: Any, send: Send) -> None:
    try:
        for hit in rule.check(model):
            severity = None if hit.severity is None else str(hit.severity)
            send(
                ["hit", rule.code, hit.message, _plain(hit.location), hit.evidence.hex(), severity]
            )
    except GuestError as error:
        send(["unjudged", rule.code, str(error)])
    except (MemoryError, RecursionError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever a rule raises is a bug of ours
        send(["failure", rule.code, f"{type(error).__name__}: {error}"])


def _plain(location: Location | None) -> list[Any] | None:
    match location:
        case None:
            return None
        case GuestLocation(path, line):
            return ["guest", path, line]
        case RegistryLocation(hive, key, value):
            return ["registry", hive, key, value]
        case FileLocation(offset, length):
            return ["file", offset, length]
        case DiskLocation(offset, length):
            return ["disk", offset, length]


def _keep(inside: Inside, by_code: dict[str, Rule], what: str, data: list[Any]) -> None:
    """Add one message of the worker to what is known."""
    match what, data:
        case "guest", [kind, summary, gaps]:
            inside.kind, inside.summary, inside.gaps = SystemKind(kind), summary, gaps
        case "subject", [subject]:
            inside.subjects.add(Subject(subject))
        case "unjudged", [code, reason]:
            inside.unjudged.setdefault(reason, []).append(code)
        case "failure", [code, error]:
            inside.failures.append(RuleFailure(code, error))
        case "hit", [code, message, place, evidence, severity]:
            location = None if place is None else _LOCATIONS[place[0]](*place[1:])
            milder = None if severity is None else Severity(severity)
            hit = Hit(message, location, bytes.fromhex(evidence), milder)
            rule = by_code[code]
            inside.findings.append(Finding(rule, hit, milder or rule.severity))
