"""What rules find on a phony Windows guest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.rules.model import GuestLocation, Profile, RegistryLocation, Severity
from vhdtool.rules.registry import rules

if TYPE_CHECKING:
    from tests.guests.windows import Machine
    from vhdtool.guest.windows.guest import WindowsGuest
    from vhdtool.rules.model import Hit


def hits(machine: Machine, code: str) -> list[Hit]:
    """What one rule finds. Evidence must be what stands at its location."""
    guest = machine.guest()
    found = list(rules()[code].check(guest))
    for one in found:
        assert one.message[0] == one.message[0].lower() or one.message.split()[0] != "The"
        assert not one.message.endswith(".") or one.message.endswith("...")
        assert len(one.evidence) <= 64
        _check_location(guest, one)
    return found


def hit(machine: Machine, code: str) -> Hit:
    """The only thing that a rule finds."""
    (found,) = hits(machine, code)
    return found


def severity(machine: Machine, code: str) -> Severity:
    """How bad the only thing is that a rule finds."""
    return hit(machine, code).severity or rules()[code].severity


def found(machine: Machine, *profiles: Profile) -> dict[str, Severity]:
    """The worst severity of each rule of Windows guests that finds something."""
    guest = machine.guest()
    result: dict[str, Severity] = {}
    for code, rule in rules().items():
        if rule.subject.value != "windows":
            continue
        if rule.profiles and not rule.profiles.intersection(profiles):
            continue
        for one in rule.check(guest):
            worst = one.severity or rule.severity
            if code not in result or worst.rank > result[code].rank:
                result[code] = worst
    return result


def _check_location(guest: WindowsGuest, one: Hit) -> None:
    match one.location:
        case RegistryLocation(hive, key, value) if hive != "BCD":
            registry = guest.hive(hive)
            assert registry is not None
            assert not key.lower().startswith("currentcontrolset")
            stored = None if value is None else registry.value(key, value)
            secret = value == "DefaultPassword"
            assert one.evidence == (b"" if stored is None or secret else stored.data[:64])
        case GuestLocation(path, line) if line is not None:
            lines = guest.lines(path)
            assert lines is not None
            assert one.evidence
            assert one.evidence.decode() in lines[line - 1]
        case _:
            assert one.location is not None
