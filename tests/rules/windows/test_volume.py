"""The volume with Windows, certification, and the Windows halves of common rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.guests.windows import (
    AMD64,
    ARM64,
    CONTROL,
    CURRENT_VERSION,
    I386,
    Machine,
    by_bios,
    captured,
    domain_member,
    pe,
    sealed,
    server,
    server_2012_r2,
)
from tests.rules.windows.judging import hit, hits
from vhdtool.guest.filesystem import Volume
from vhdtool.rules.model import GuestLocation, RegistryLocation
from vhdtool.rules.windows import generic
from vhdtool.units import GIB, MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vhdtool.guest.windows.guest import WindowsGuest
    from vhdtool.rules.model import Hit

HOSTS = "/Windows/System32/drivers/etc/hosts"
KERNEL = "/Windows/System32/ntoskrnl.exe"


def on(volume: Volume) -> Machine:
    machine = server()
    machine.files.volume = volume
    return machine


def test_dsk126_hits_a_volume_to_be_checked() -> None:
    assert "checked" in hit(on(Volume("NTFS", dirty=True)), "DSK126").message


def test_dsk126_passes_clean_and_unknown_ones() -> None:
    assert hits(on(Volume("NTFS", dirty=False)), "DSK126") == []
    assert hits(server(), "DSK126") == []


def test_dsk127_hits_a_log_that_is_not_clean() -> None:
    assert "dismounted" in hit(on(Volume("NTFS", log_clean=False)), "DSK127").message


def test_dsk127_passes_clean_and_unknown_ones() -> None:
    assert hits(on(Volume("NTFS", log_clean=True)), "DSK127") == []
    assert hits(server(), "DSK127") == []


@pytest.mark.parametrize("start", [b"hibr", b"HIBR", b"RSTR"])
def test_dsk128_hits_hibernation(start: bytes) -> None:
    machine = server()
    machine.files.add("/hiberfil.sys", start + bytes(60))
    assert start.decode() in hit(machine, "DSK128").message


@pytest.mark.parametrize("start", [b"wake", b"WAKE", b"\0\0\0\0", b""])
def test_dsk128_passes_what_is_not_resumed(start: bytes) -> None:
    machine = server()
    machine.files.add("/hiberfil.sys", start)
    assert hits(machine, "DSK128") == []


def test_dsk132_hits_a_full_volume() -> None:
    full = on(Volume("NTFS", size=100 * GIB, free=4 * GIB))
    assert "expected at least 5368709120 bytes" in hit(full, "DSK132").message
    assert hits(on(Volume("NTFS", size=8 * GIB, free=900 * MIB)), "DSK132")


def test_dsk132_passes_room_and_the_unknown() -> None:
    assert hits(server(), "DSK132") == []
    assert hits(on(Volume("NTFS", size=GIB)), "DSK132") == []


def test_dsk141_hits_missing_boot_files() -> None:
    assert len(hits(by_bios(server()), "DSK141")) == 2


def test_dsk141_passes_what_is_there_or_cannot_be_seen() -> None:
    assert hits(server(), "DSK141") == []
    machine = server()
    machine.system_files = None
    assert hits(machine, "DSK141") == []


def test_mkt619_hits_an_old_driver() -> None:
    machine = server_2012_r2()
    path = "/Windows/System32/drivers/srv.sys"
    machine.files.add(path, pe(AMD64, (6, 3, 9600, 16384)))
    found = hit(machine, "MKT619")
    assert found.message == "srv.sys is version 6.3.9600.16384, expected 6.3.9600.18604 or later"
    assert found.location == GuestLocation(path)


def test_mkt619_passes_patched_and_later_ones() -> None:
    assert hits(server_2012_r2(), "MKT619") == []
    assert hits(server(), "MKT619") == []


def test_mkt620_hits_updates_that_are_off() -> None:
    machine = sealed()
    machine.software.set(r"Policies\Microsoft\Windows\WindowsUpdate\AU", {"NoAutoUpdate": 1})
    machine.service("wuauserv", 4)
    assert len(hits(machine, "MKT620")) == 2


def test_mkt620_passes_the_default() -> None:
    assert hits(sealed(), "MKT620") == []


def test_mkt622_hits_a_base_without_traces() -> None:
    assert "no trace" in hit(sealed(), "MKT622").message


def test_mkt622_passes_a_base_from_azure() -> None:
    assert hits(captured(), "MKT622") == []
    machine = sealed()
    machine.software.set(r"Microsoft\Windows Azure", {})
    assert hits(machine, "MKT622") == []


# --- the Windows halves of common rules


def one(check: Callable[[WindowsGuest], Iterator[Hit]], machine: Machine) -> Hit:
    (found,) = check(machine.guest())
    return found


def none(check: Callable[[WindowsGuest], Iterator[Hit]], machine: Machine) -> bool:
    return list(check(machine.guest())) == []


def test_a_windows_without_a_build_is_not_identified() -> None:
    machine = server()
    assert none(generic.not_identified, machine)
    machine.software.remove(CURRENT_VERSION, "CurrentBuild")
    assert "CurrentBuild" in one(generic.not_identified, machine).message


def test_somebody_must_be_able_to_log_in() -> None:
    machine = server()
    assert none(generic.nobody_can_log_in, machine)
    machine.account("Administrator", 500, enabled=False)
    found = one(generic.nobody_can_log_in, machine)
    assert found.location == RegistryLocation("SAM", r"SAM\Domains\Account\Users\000001F4", "F")
    member = domain_member()
    member.account("Administrator", 500, enabled=False)
    assert none(generic.nobody_can_log_in, member)


def test_architectures_are_judged_by_the_kernel() -> None:
    machine = server()
    assert none(generic.not_64_bits, machine)
    assert none(generic.arm64_in_generation_1, machine)
    machine.files.add(KERNEL, pe(I386))
    assert one(generic.not_64_bits, machine).location == GuestLocation(KERNEL)
    machine.files.add(KERNEL, pe(ARM64))
    assert "aarch64" in one(generic.arm64_in_generation_1, machine).message


def test_architectures_are_judged_by_the_registry_without_a_kernel() -> None:
    machine = server()
    machine.files.remove(KERNEL)
    environment = rf"{CONTROL}\Session Manager\Environment"
    machine.system.set(environment, {"PROCESSOR_ARCHITECTURE": "x86"})
    found = one(generic.not_64_bits, machine)
    assert found.location == RegistryLocation("SYSTEM", environment, "PROCESSOR_ARCHITECTURE")


def test_time_zones_other_than_utc_are_told() -> None:
    machine = server()
    assert none(generic.time_zone_not_utc, machine)
    zone = rf"{CONTROL}\TimeZoneInformation"
    machine.system.set(zone, {"TimeZoneKeyName": "Pacific Standard Time"})
    assert "Pacific Standard Time" in one(generic.time_zone_not_utc, machine).message


def test_tools_of_other_hypervisors_are_told_once_each() -> None:
    machine = server()
    assert none(generic.foreign_tools, machine)
    machine.service("VMTools")
    machine.service("vm3dservice")
    assert "VMware Tools are installed (VMTools)" in one(generic.foreign_tools, machine).message
    machine = server()
    machine.service("QEMU-GA", 4)
    assert none(generic.foreign_tools, machine)


def test_secrets_of_profiles_are_told() -> None:
    machine = server()
    machine.files.add("/Users/anna/.aws/credentials", "x")
    machine.files.add("/Users/anna/Documents/server.PFX", "x")
    machine.files.add("/Users/anna/.ssh/id_rsa.pub", "x")
    found = list(generic.secrets_left(machine.guest()))
    assert [one.location for one in found] == [
        GuestLocation("/Users/anna/.aws/credentials"),
        GuestLocation("/Users/anna/Documents/server.PFX"),
    ]


def test_entries_of_the_hosts_file_are_told() -> None:
    machine = server()
    assert none(generic.hosts_entries_left, machine)
    machine.files.add(HOSTS, "# x\r\n127.0.0.1 localhost\r\n10.0.0.1 build # mine\r\n")
    assert one(generic.hosts_entries_left, machine).location == GuestLocation(HOSTS, 3)


def test_a_captured_machine_is_told() -> None:
    assert none(generic.provisioned_before, server())
    found = one(generic.provisioned_before, captured())
    assert found.location == GuestLocation("/Windows/Panther/WaSetup.xml")
