"""Answer files, memberships, accounts: what an image brings along."""

from __future__ import annotations

import pytest

from tests.guests.windows import (
    SERVICES,
    captured,
    client,
    domain_member,
    sealed,
    server,
)
from tests.rules.windows.judging import hit, hits, severity
from vhdtool.guest.memory import MemoryHive
from vhdtool.guest.windows.guest import WindowsGuest
from vhdtool.rules.model import GuestLocation, RegistryLocation, Severity
from vhdtool.rules.registry import rules

APPX = r"Microsoft\Windows\CurrentVersion\Appx\AppxAllUserStore"
EFS = r"Software\Microsoft\Windows NT\CurrentVersion\EFS\CurrentKeys"


@pytest.mark.parametrize(
    "path", ["/Windows/Panther/unattend.xml", "/Windows/Panther/Unattend/Unattend.xml"]
)
def test_wgn414_hits_answer_files(path: str) -> None:
    machine = sealed()
    machine.files.add(path, "<unattend/>")
    assert hit(machine, "WGN414").location == GuestLocation(path)


def test_wgn414_passes_logs_in_the_folder() -> None:
    machine = sealed()
    machine.files.add("/Windows/Panther/setupact.log", "x")
    assert hits(machine, "WGN414") == []


def test_wgn415_hits_files_and_the_value() -> None:
    machine = sealed()
    machine.files.add("/autounattend.xml", "<unattend/>")
    machine.system.set("Setup", {"UnattendFile": r"C:\answers.xml"})
    assert [found.location for found in hits(machine, "WGN415")] == [
        GuestLocation("/autounattend.xml"),
        RegistryLocation("SYSTEM", "Setup", "UnattendFile"),
    ]


def test_wgn415_passes_without() -> None:
    machine = sealed()
    machine.system.set("Setup", {"UnattendFile": ""})
    assert hits(machine, "WGN415") == []


def test_wgn421_hits_devices_that_are_kept() -> None:
    machine = sealed()
    text = "<unattend>\r\n<PersistAllDeviceInstallations>true</PersistAllDeviceInstallations>\r\n"
    machine.files.add("/unattend.xml", text)
    found = hit(machine, "WGN421")
    assert found.location == GuestLocation("/unattend.xml", 2)
    assert found.message == "PersistAllDeviceInstallations is true, expected false"


def test_wgn421_passes_false() -> None:
    machine = sealed()
    machine.files.add(
        "/unattend.xml",
        "<PersistAllDeviceInstallations>false</PersistAllDeviceInstallations>",
    )
    assert hits(machine, "WGN421") == []


def test_wgn428_hits_a_script() -> None:
    machine = sealed()
    machine.files.add("/Windows/Setup/Scripts/SetupComplete.cmd", "echo")
    assert "4 bytes" in hit(machine, "WGN428").message


def test_wgn428_passes_an_empty_one() -> None:
    machine = sealed()
    machine.files.add("/Windows/Setup/Scripts/SetupComplete.cmd", "")
    assert hits(machine, "WGN428") == []


def test_wgn412_hits_a_member_by_the_domains_sid() -> None:
    found = hit(domain_member(), "WGN412")
    assert found.location == RegistryLocation("SECURITY", r"Policy\PolPrDmS", "")
    assert "corp.example" in found.message


def test_wgn412_hits_a_suffix_as_a_warning_without_security() -> None:
    machine = domain_member()
    machine.security.remove(r"Policy\PolPrDmS")
    assert severity(machine, "WGN412") is Severity.WARNING


def test_wgn412_passes_a_workgroup_with_a_suffix() -> None:
    machine = sealed()
    machine.system.set(rf"{SERVICES}\Tcpip\Parameters", {"NV Domain": "example.com"})
    assert hits(machine, "WGN412") == []
    assert hits(server(), "WGN412") == []


def test_wgn413_hits_a_join_and_an_enrolment() -> None:
    machine = server()
    machine.system.set(r"ControlSet001\Control\CloudDomainJoin\JoinInfo\ABCDEF", {})
    machine.software.set(r"Microsoft\Enrollments\{1}", {"ProviderID": "MS DM Server"})
    machine.software.set(r"Microsoft\Enrollments\Status", {})
    assert [found.message for found in hits(machine, "WGN413")] == [
        "the machine is joined to Entra (ABCDEF), expected no join",
        'the machine is enrolled with "MS DM Server", expected none',
    ]


def test_wgn413_passes_without() -> None:
    assert hits(server(), "WGN413") == []


def test_wgn416_hits_what_provisioning_leaves() -> None:
    paths = [found.location for found in hits(captured(), "WGN416")]
    assert GuestLocation("/AzureData/CustomData.bin") in paths
    assert GuestLocation("/WindowsAzure/Logs") in paths


def test_wgn416_passes_an_agent_that_never_ran() -> None:
    assert hits(sealed(), "WGN416") == []


def test_wgn417_hits_extensions() -> None:
    machine = captured()
    machine.software.set(r"Microsoft\Windows Azure\HandlerState\Some.Extension_1.0", {})
    assert len(hits(machine, "WGN417")) == 2


def test_wgn417_passes_without() -> None:
    assert hits(sealed(), "WGN417") == []


def test_wgn422_hits_accounts_of_people() -> None:
    machine = sealed()
    machine.account("builder", 1001)
    found = hit(machine, "WGN422")
    assert found.location == RegistryLocation("SAM", r"SAM\Domains\Account\Users\000003E9", "F")
    assert "builder (1001, enabled)" in found.message
    machine.account("builder", 1001, enabled=False)
    assert severity(machine, "WGN422") is Severity.INFO


def test_wgn422_passes_built_in_accounts_of_any_name() -> None:
    machine = sealed()
    machine.account("chef", 500)
    assert hits(machine, "WGN422") == []


def test_wgn423_hits_an_administrator_who_can_log_in() -> None:
    assert "(Administrator) is enabled" in hit(sealed(), "WGN423").message


def test_wgn423_passes_one_who_cannot() -> None:
    machine = sealed()
    machine.account("Administrator", 500, enabled=False)
    assert hits(machine, "WGN423") == []


def test_wgn424_hits_a_chosen_name() -> None:
    machine = sealed()
    key = r"ControlSet001\Control\ComputerName\ComputerName"
    machine.system.set(key, {"ComputerName": "BUILD01"})
    assert hit(machine, "WGN424").message == "the computer name is BUILD01"


def test_wgn424_passes_a_made_up_name() -> None:
    assert hits(sealed(), "WGN424") == []


def test_wgn425_hits_where_nothing_makes_a_new_one() -> None:
    machine = server()
    machine.software.set(r"Microsoft\Cryptography", {"MachineGuid": "12-34"})
    assert "12-34" in hit(machine, "WGN425").message


def test_wgn425_passes_a_sealed_image() -> None:
    machine = sealed()
    machine.software.set(r"Microsoft\Cryptography", {"MachineGuid": "12-34"})
    assert hits(machine, "WGN425") == []


def test_wgn426_hits_clients_of_management() -> None:
    machine = sealed()
    update = r"Microsoft\Windows\CurrentVersion\WindowsUpdate"
    machine.software.set(update, {"SusClientId": "1"})
    machine.software.set(r"Microsoft\SystemCertificates\SMS\Certificates\AB", {})
    machine.files.add("/Windows/SMSCFG.ini", "x")
    assert len(hits(machine, "WGN426")) == 3


def test_wgn426_passes_without() -> None:
    assert hits(sealed(), "WGN426") == []


def test_wgn409_hits_an_app_of_one_user() -> None:
    machine = client()
    machine.software.set(rf"{APPX}\Applications\Fine.App_1.0_x64__abc", {})
    for name in ("Fine.App_2.0_x64__abc", "Own.App_1.0_x64__abc", "Microsoft.VCLibs.140_1__8we"):
        machine.software.set(rf"{APPX}\S-1-5-21-1-2-3-1001\{name}", {})
    assert hit(machine, "WGN409").message.endswith("Own.App_1.0_x64__abc")


def test_wgn409_passes_provisioned_apps_and_services() -> None:
    machine = client()
    machine.software.set(rf"{APPX}\Applications\Fine.App_1.0_x64__abc", {})
    machine.software.set(rf"{APPX}\S-1-5-21-1-2-3-1001\Fine.App_1.0_x64__abc", {})
    machine.software.set(rf"{APPX}\S-1-5-18\Own.App_1.0_x64__abc", {})
    assert hits(machine, "WGN409") == []


def test_wgn410_hits_skip_rearm() -> None:
    machine = sealed()
    key = r"Microsoft\Windows NT\CurrentVersion\SoftwareProtectionPlatform"
    machine.software.set(key, {"SkipRearm": 1})
    assert hit(machine, "WGN410").message == "SkipRearm is 1, expected 0"


def test_wgn410_passes_zero() -> None:
    assert hits(sealed(), "WGN410") == []


def test_wgn411_hits_an_upgrade() -> None:
    machine = sealed()
    machine.system.set(r"Setup\Source OS (Updated on 1/2/2020 03:04:05)", {})
    assert severity(machine, "WGN411") is Severity.INFO
    machine.software.set(r"Microsoft\Windows NT\CurrentVersion", {"CurrentBuild": "9600"})
    assert severity(machine, "WGN411") is Severity.WARNING


def test_wgn411_passes_a_fresh_install() -> None:
    assert hits(sealed(), "WGN411") == []


def test_wgn427_hits_an_update_at_work() -> None:
    machine = server()
    machine.software.set(r"Microsoft\Windows\CurrentVersion\ReserveManager", {"ActiveScenario": 1})
    assert "ActiveScenario is 1" in hit(machine, "WGN427").message


def test_wgn427_passes_none() -> None:
    assert hits(server(), "WGN427") == []


def test_wgn430_hits_a_foreign_program() -> None:
    machine = server()
    key = r"Microsoft\Windows\CurrentVersion\Setup\Sysprep\Generalize"
    machine.software.set(key, {"{1}": r"C:\Program Files\Tool\tool.dll,Entry"})
    assert "phase Generalize" in hit(machine, "WGN430").message


def test_wgn430_passes_those_of_windows() -> None:
    machine = server()
    key = r"Microsoft\Windows\CurrentVersion\Setup\Sysprep\Generalize"
    machine.software.set(key, {"{1}": r"C:\Windows\System32\spopk.dll,Entry"})
    machine.software.set(key, {"{2}": r"C:\Program Files\Internet Explorer\iessetup.dll,Entry"})
    assert hits(machine, "WGN430") == []


def with_profile(content: dict[str, dict[str, bytes]]) -> WindowsGuest:
    machine = sealed()
    machine.files.folder("/Users/anna")
    return WindowsGuest(
        machine.guest().tree,
        hives={"SOFTWARE": machine.software, "NTUSER anna": MemoryHive(content)},
    )


def test_wgn418_hits_a_key_of_efs() -> None:
    (found,) = rules()["WGN418"].check(with_profile({EFS: {"CertificateHash": b"\1"}}))
    assert found.location == RegistryLocation("NTUSER ANNA", EFS, "CertificateHash")


def test_wgn418_passes_without() -> None:
    assert list(rules()["WGN418"].check(with_profile({EFS: {}}))) == []
