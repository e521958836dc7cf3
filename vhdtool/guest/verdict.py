"""Whether a guest is ready for new machines, and what speaks for and against it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What a guest is, by its files alone."""

    GENERALIZED = "generalized"  # what made it one machine is gone: new machines can be made of it
    SPECIALIZED = "specialized"  # it is one machine, or was, and still looks like it
    UNCLEAR = "unclear"  # the evidence does not suffice, or could not be read
    INCONSISTENT = "inconsistent"  # marks that belong together contradict each other


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that speaks for or against a generalized guest.

    Attributes:
        name: What it is, in kebab case: `provisioned-sentinel`.
        points_to: GENERALIZED or SPECIALIZED.
        text: One clause, lower case, with the value that was found.
        path: The file, or the name of the registry hive.
        line: The line in the file, from 1, where there is one.
        key: The key in the hive.
        value: The value of the key.
        decisive: Whether it settles the verdict alone.
    """

    name: str
    points_to: State
    text: str
    path: str
    line: int | None = None
    key: str | None = None
    value: str | None = None
    decisive: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state of a guest with its reasons.

    Attributes:
        state: The answer.
        summary: One sentence, lower case: what decided.
        evidence: All that was found, decisive pieces first.
        histories: What the guest has been through, by name: `captured-machine`,
            `waagent-deprovisioned`, `failed-sysprep`.
        unread: What could not be read, so that the answer may lack it.
    """

    state: State
    summary: str
    evidence: tuple[Evidence, ...] = ()
    histories: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def supporting(self) -> tuple[Evidence, ...]:
        """What speaks for a generalized guest."""
        return tuple(one for one in self.evidence if one.points_to is State.GENERALIZED)

    @property
    def contrary(self) -> tuple[Evidence, ...]:
        """What speaks against a generalized guest."""
        return tuple(one for one in self.evidence if one.points_to is State.SPECIALIZED)
