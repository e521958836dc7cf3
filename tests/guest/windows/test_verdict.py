"""The verdict on each of the phony guests, and exactly what rules find on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.guests import windows as guests
from tests.guests.windows import COMPLETE, TAG, UNDEPLOYABLE, WANTED, sealed, server
from tests.rules.windows.judging import found
from vhdtool.errors import GuestError
from vhdtool.guest.memory import MemoryFileSystem, MemoryHive
from vhdtool.guest.tree import Tree
from vhdtool.guest.verdict import State
from vhdtool.guest.windows.guest import WindowsGuest
from vhdtool.rules.model import Profile

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.guests.windows import Machine

NOT_SEALED = {"WGN401", "WGN404", "WGN405", "WGN406", "WGN423"}


@pytest.mark.parametrize(
    ("make", "state", "histories", "codes"),
    [
        (guests.server, State.SPECIALIZED, (), NOT_SEALED),
        (guests.sealed, State.GENERALIZED, (), {"WGN423"}),
        (
            guests.failed_sysprep,
            State.INCONSISTENT,
            ("failed-sysprep",),
            (NOT_SEALED - {"WGN406"}) | {"WGN402", "WGN407", "WGN408"},
        ),
        (
            guests.audit,
            State.INCONSISTENT,
            ("audit-reseal",),
            {"WGN401", "WGN403", "WGN406", "WGN423"},
        ),
        (
            guests.captured,
            State.SPECIALIZED,
            ("captured-machine", "started-after-sealing"),
            (NOT_SEALED - {"WGN404"}) | {"WGN416", "WGN417", "WGN422", "WGN429"},
        ),
        (guests.domain_member, State.SPECIALIZED, (), NOT_SEALED | {"WGN412"}),
        (guests.with_roles, State.GENERALIZED, (), {"WGN423", "ROL502", "ROL506", "ROL524"}),
        (guests.static_address, State.SPECIALIZED, (), NOT_SEALED | {"WIN412"}),
        (
            guests.without_hyper_v,
            State.SPECIALIZED,
            (),
            NOT_SEALED | {"WIN413", "WIN415", "WIN445"},
        ),
        (guests.client, State.SPECIALIZED, (), NOT_SEALED),
        (guests.server_2012_r2, State.SPECIALIZED, (), NOT_SEALED | {"WIN441"}),
        (guests.server_2008_r2, State.SPECIALIZED, (), NOT_SEALED | {"WIN441"}),
    ],
)
def test_each_guest_has_its_verdict_and_its_findings(
    make: Callable[[], Machine], state: State, histories: tuple[str, ...], codes: set[str]
) -> None:
    verdict = make().guest().verdict
    assert verdict.state is state
    assert verdict.histories == histories
    assert verdict.evidence
    assert set(found(make(), Profile.GENERALIZED)) == codes


def test_a_prepared_machine_has_no_findings_where_it_may_stay_as_it_is() -> None:
    assert set(found(server(), Profile.SPECIALIZED, Profile.GEN2)) == {"WGN406"}
    assert found(sealed(), Profile.SPECIALIZED, Profile.GEN1, Profile.GEN2) == {}


def test_evidence_is_for_and_against() -> None:
    verdict = sealed().guest().verdict
    assert [one.name for one in verdict.supporting] == [
        "image-state",
        "state-ini",
        "sysprep-tag",
        "setup-armed",
    ]
    assert verdict.contrary == ()
    verdict = guests.failed_sysprep().guest().verdict
    assert {one.name for one in verdict.contrary} >= {"image-state", "sysprep-error"}


def test_a_seal_that_lacks_a_part_is_inconsistent() -> None:
    def without_tag(machine: Machine) -> None:
        machine.files.remove(TAG)

    def without_command(machine: Machine) -> None:
        machine.system.set("Setup", {"SetupType": 0})

    def started(machine: Machine) -> None:
        machine.files.add("/Windows/Panther/WaSetup.xml", b"x", modified=guests.SEALED_AT + 1)

    def without_ini(machine: Machine) -> None:
        machine.files.remove(guests.STATE_INI)

    def in_audit(machine: Machine) -> None:
        machine.system.set(r"Setup\Status", {"AuditBoot": 1})

    for change, words in (
        (without_tag, "Sysprep_succeeded.tag is missing"),
        (without_command, "the next start does not run OOBE"),
        (started, "started after sealing"),
        (without_ini, "State.ini has no ImageState"),
        (in_audit, "audit mode"),
    ):
        machine = sealed()
        change(machine)
        verdict = machine.guest().verdict
        assert verdict.state is State.INCONSISTENT
        assert words in verdict.summary


def test_generalization_state_changes_nothing() -> None:
    for make in (server, sealed):
        states = set()
        for number in (0, 3, 7):
            machine = make()
            machine.system.set(r"Setup\Status\SysprepStatus", {"GeneralizationState": number})
            states.add(machine.guest().verdict.state)
        assert len(states) == 1


@pytest.mark.parametrize(
    ("registry", "ini", "state", "history"),
    [
        (UNDEPLOYABLE, UNDEPLOYABLE, State.INCONSISTENT, "unfinished-sysprep"),
        (WANTED, COMPLETE, State.INCONSISTENT, "unfinished-sysprep"),
        (
            "IMAGE_STATE_SPECIALIZE_RESEAL_TO_OOBE",
            "IMAGE_STATE_SPECIALIZE_RESEAL_TO_OOBE",
            State.SPECIALIZED,
            "resealed-without-generalize",
        ),
        ("SOMETHING", "SOMETHING", State.UNCLEAR, None),
    ],
)
def test_other_states_are_named(registry: str, ini: str, state: State, history: str | None) -> None:
    machine = server()
    machine.image_state(registry, ini)
    verdict = machine.guest().verdict
    assert verdict.state is state
    assert verdict.histories == (() if history is None else (history,))


def test_without_hives_the_verdict_is_unclear() -> None:
    verdict = WindowsGuest(Tree(MemoryFileSystem(ignores_case=True))).verdict
    assert verdict.state is State.UNCLEAR
    assert verdict.unread == ("there is no hive SOFTWARE", "there is no hive SYSTEM")


def test_a_damaged_hive_makes_the_verdict_unclear() -> None:
    class Damaged(MemoryHive):
        def subkeys(self, node: int) -> list[tuple[str, int]]:
            raise GuestError("the hive is damaged")

    machine = sealed()
    machine.software = Damaged()
    verdict = machine.guest().verdict
    assert verdict.state is State.UNCLEAR
    assert verdict.unread == ("the hive is damaged",)


def test_without_any_state_the_verdict_is_unclear() -> None:
    machine = server()
    machine.software.remove(r"Microsoft\Windows\CurrentVersion\Setup\State")
    machine.files.remove(guests.STATE_INI)
    assert machine.guest().verdict.state is State.UNCLEAR


def test_no_rule_fails_on_an_empty_guest() -> None:
    empty = guests.Machine(
        MemoryFileSystem(ignores_case=True),
        MemoryHive(),
        MemoryHive(),
        MemoryHive(),
        MemoryHive(),
        MemoryHive(),
    )
    found(empty, *Profile)
    empty.system.set(r"ControlSet001\Services", {})
    empty.system.set("Select", {"Current": 1})
    found(empty, *Profile)
