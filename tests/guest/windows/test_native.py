"""The phony guests with their hives written out and read by the native core: the same findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.guests import windows as guests
from tests.guests.windows_disk import content
from tests.hives import write_hive
from vhdtool.guest.registry import NativeHive
from vhdtool.guest.tree import Tree
from vhdtool.guest.windows.guest import WindowsGuest
from vhdtool.rules.registry import rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.guests.windows import Machine

NAMES = ("SYSTEM", "SOFTWARE", "SAM", "SECURITY")


def findings(guest: WindowsGuest) -> list[tuple[str, str]]:
    return [
        (code, hit.message)
        for code, rule in rules().items()
        if rule.subject.value == "windows"
        for hit in rule.check(guest)
    ]


@pytest.mark.parametrize(
    "make",
    [
        guests.server,
        guests.sealed,
        guests.failed_sysprep,
        guests.captured,
        guests.domain_member,
        guests.with_roles,
        guests.without_hyper_v,
        guests.server_2008_r2,
    ],
)
def test_written_hives_give_the_same_verdict_and_findings(make: Callable[[], Machine]) -> None:
    machine = make()
    in_memory = machine.guest()
    for name in NAMES:
        hive = getattr(machine, name.lower())
        machine.files.add(f"/Windows/System32/config/{name}", write_hive(content(hive, hive.root)))
    store = write_hive(content(machine.bcd, machine.bcd.root))
    assert machine.system_files is not None
    boot = "/EFI/Microsoft/Boot/BCD" if machine.system_files.lookup(1, b"EFI") else "/Boot/BCD"
    machine.system_files.add(boot, store)
    native = WindowsGuest(
        Tree(machine.files), system_volumes={"partition 1": Tree(machine.system_files)}
    )
    assert native.verdict == in_memory.verdict
    assert sorted(findings(native)) == sorted(findings(in_memory))


def test_a_hive_that_is_written_is_read_by_the_native_core() -> None:
    hive = NativeHive(write_hive({"A": {"x": 1}}), [])
    assert hive.notes == ()
    ((name, node),) = hive.subkeys(hive.root)
    assert name == "A"
    assert [value.number for value in hive.values(node)] == [1]
    assert hive.modified(node) > 0
