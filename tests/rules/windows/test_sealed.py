"""Whether Sysprep has sealed Windows."""

from __future__ import annotations

import pytest

from tests.guests.windows import (
    COMPLETE,
    SEALED_AT,
    STATE_INI,
    SYSPREP_LOGS,
    TAG,
    UNDEPLOYABLE,
    WANTED,
    audit,
    captured,
    failed_sysprep,
    filetime,
    sealed,
    server,
)
from tests.rules.windows.judging import hit, hits, severity
from vhdtool.rules.model import GuestLocation, RegistryLocation, Severity

CONTROL_WINDOWS = r"ControlSet001\Control\Windows"


@pytest.mark.parametrize(
    ("state", "meaning"),
    [
        (COMPLETE, "installed, not generalized"),
        (UNDEPLOYABLE, "has not finished"),
        ("IMAGE_STATE_SPECIALIZE_RESEAL_TO_OOBE", "without /generalize"),
        ("IMAGE_STATE_GENERALIZE_RESEAL_TO_AUDIT", "audit"),
        ("nonsense", "is nonsense, expected"),
    ],
)
def test_wgn401_hits_every_other_state(state: str, meaning: str) -> None:
    machine = sealed()
    machine.image_state(state)
    found = hit(machine, "WGN401")
    assert meaning in found.message
    assert found.location == RegistryLocation(
        "SOFTWARE", r"Microsoft\Windows\CurrentVersion\Setup\State", "ImageState"
    )


def test_wgn401_passes_a_sealed_image() -> None:
    assert hits(sealed(), "WGN401") == []


def test_wgn402_hits_where_the_two_disagree() -> None:
    found = hit(failed_sysprep(), "WGN402")
    assert found.location == GuestLocation(STATE_INI, 2)
    assert found.message == (f"ImageState is {WANTED}, expected {UNDEPLOYABLE} as in the registry")


def test_wgn402_hits_a_sealed_image_without_state_ini() -> None:
    machine = sealed()
    machine.files.remove(STATE_INI)
    assert "has no ImageState" in hit(machine, "WGN402").message


def test_wgn402_passes_where_the_two_agree() -> None:
    assert hits(sealed(), "WGN402") == []
    machine = sealed()
    machine.files.add(STATE_INI, f"[State]\nimagestate = {WANTED.lower()}\n")
    assert hits(machine, "WGN402") == []


def test_wgn403_hits_audit_mode() -> None:
    assert [found.location for found in hits(audit(), "WGN403")] == [
        RegistryLocation("SOFTWARE", r"Microsoft\Windows\CurrentVersion\Setup\State", "ImageState"),
        RegistryLocation("SYSTEM", r"Setup\Status", "AuditBoot"),
    ]


def test_wgn403_passes_oobe() -> None:
    assert hits(sealed(), "WGN403") == []


def test_wgn404_hits_without_the_tag() -> None:
    assert hit(server(), "WGN404").location == GuestLocation(TAG)


def test_wgn404_passes_with_the_tag() -> None:
    assert hits(sealed(), "WGN404") == []


def test_wgn405_hits_an_installed_machine() -> None:
    assert "SetupType is 0" in hit(server(), "WGN405").message


def test_wgn405_passes_an_armed_one() -> None:
    assert hits(sealed(), "WGN405") == []
    machine = server()
    machine.system.remove("Setup", "SetupType")
    assert hits(machine, "WGN405") == []


def test_wgn406_hits_seven_on_an_ordinary_machine() -> None:
    assert "does not mean" in hit(server(), "WGN406").message


def test_wgn406_passes_a_sealed_image() -> None:
    assert hits(sealed(), "WGN406") == []


def test_wgn407_hits_a_failed_run() -> None:
    state, log = hits(failed_sysprep(), "WGN407")
    assert "GeneralizationState is 3" in state.message
    assert log.location == GuestLocation(f"{SYSPREP_LOGS}/setuperr.log", 1)
    machine = server()
    machine.system.set(r"Setup\Status\SysprepStatus", {"CleanupState": 7})
    assert hit(machine, "WGN407").message == "CleanupState is 7, expected 2"


def test_wgn407_passes_errors_of_a_run_that_succeeded() -> None:
    machine = sealed()
    machine.files.add(f"{SYSPREP_LOGS}/setuperr.log", "2023, Error SYSPRP something minor\r\n")
    assert hits(machine, "WGN407") == []
    assert hits(server(), "WGN407") == []


@pytest.mark.parametrize("code", ["0x0f0073", "0xc004d307", "0x80073cf2"])
def test_wgn408_hits_known_codes(code: str) -> None:
    machine = server()
    text = f"line one\r\n2023-11-14, Error [0x0f0082] SYSPRP failed, {code}\r\n"
    machine.files.add(f"{SYSPREP_LOGS}/setuperr.log", text.encode("utf-16"))
    found = hit(machine, "WGN408")
    assert found.location == GuestLocation(f"{SYSPREP_LOGS}/setuperr.log", 2)
    assert code in found.message


def test_wgn408_passes_a_run_that_succeeded_in_the_end() -> None:
    machine = failed_sysprep()
    machine.files.add(TAG)
    assert hits(machine, "WGN408") == []
    assert hits(server(), "WGN408") == []


def test_wgn419_hits_system() -> None:
    machine = sealed()
    machine.files.add(
        f"{SYSPREP_LOGS}/setupact.log", "a\r\n2025, Info SYSPRP user: NT AUTHORITY\\SYSTEM\r\n"
    )
    assert hit(machine, "WGN419").location == GuestLocation(f"{SYSPREP_LOGS}/setupact.log", 2)


def test_wgn419_passes_an_administrator() -> None:
    assert hits(sealed(), "WGN419") == []


@pytest.mark.parametrize(
    "line",
    [
        r"Info SYSPRP command line: sysprep.exe /generalize /oobe /mode:vm",
        "Info [0x0f005f] SYSPRP ParseCommands:Found supported command line option 'MODE'",
    ],
)
def test_wgn420_hits_mode_vm(line: str) -> None:
    machine = sealed()
    machine.files.add(f"{SYSPREP_LOGS}/setupact.log", line)
    assert hit(machine, "WGN420").location == GuestLocation(f"{SYSPREP_LOGS}/setupact.log", 1)


def test_wgn420_passes_without_it() -> None:
    assert hits(sealed(), "WGN420") == []


def test_wgn429_hits_what_a_start_wrote() -> None:
    found = hits(captured(), "WGN429")
    assert [one.location for one in found] == [
        GuestLocation("/Windows/Panther/WaSetup.xml"),
        GuestLocation("/Windows/Panther/UnattendGC/setupact.log"),
    ]


def test_wgn429_hits_a_late_shutdown_as_a_warning() -> None:
    machine = sealed()
    machine.system.set(CONTROL_WINDOWS, {"ShutdownTime": filetime(SEALED_AT + 7200)})
    assert "7200 seconds after" in hit(machine, "WGN429").message
    assert severity(machine, "WGN429") is Severity.WARNING


def test_wgn429_passes_a_shutdown_by_sysprep() -> None:
    machine = sealed()
    machine.files.add("/Windows/Panther/WaSetup.xml", b"", modified=SEALED_AT - 9)
    assert hits(machine, "WGN429") == []
    assert hits(server(), "WGN429") == []
