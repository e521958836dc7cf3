"""Drivers, boot data, firewall, releases and condition: will it start, and be reached."""

from __future__ import annotations

import pytest

from tests.guests.windows import (
    AMD64,
    CONTROL,
    CURRENT_VERSION,
    DISK_GUID,
    EMS,
    FIREWALL,
    LOADER,
    MANAGER,
    PARTITION_GUID,
    RDP_TCP,
    SERVICES,
    WINDOWS,
    by_bios,
    client,
    device,
    pe,
    rule,
    sealed,
    server,
    server_2008_r2,
    server_2012_r2,
    without_hyper_v,
)
from tests.rules.windows.judging import hit, hits, severity
from vhdtool.guest.memory import MemoryFileSystem, MemoryHive
from vhdtool.guest.windows.boot import DeviceId, device_partition
from vhdtool.rules.model import GuestLocation, RegistryLocation, Severity

DISKS = rf"{CONTROL}\Class\{{4D36E967-E325-11CE-BFC1-08002BE10318}}"
CDS = rf"{CONTROL}\Class\{{4D36E965-E325-11CE-BFC1-08002BE10318}}"
RULES = rf"{FIREWALL}\FirewallRules"
DRIVERS = "/Windows/System32/drivers"


def test_win413_hits_missing_and_late_drivers() -> None:
    assert len(hits(without_hyper_v(), "WIN413")) == 2
    machine = server()
    machine.driver("storvsc", 3)
    assert hit(machine, "WIN413").message == "Start of storvsc is 3, expected 0 (boot)"
    assert severity(machine, "WIN413") is Severity.ERROR
    machine = server_2008_r2()
    machine.driver("storvsc", 3)
    assert severity(machine, "WIN413") is Severity.WARNING
    machine = server()
    machine.driver("storflt", 3, "vmstorfl.sys")
    assert severity(machine, "WIN413") is Severity.WARNING


def test_win413_passes_without_storflt() -> None:
    machine = server()
    machine.system.remove(rf"{SERVICES}\storflt")
    assert hits(machine, "WIN413") == []
    assert hits(server(), "WIN413") == []


def test_win414_hits_late_drivers() -> None:
    machine = server()
    machine.driver("intelide", 3)
    assert severity(machine, "WIN414") is Severity.ERROR
    machine = server()
    machine.driver("pciide", 3)
    assert severity(machine, "WIN414") is Severity.INFO


def test_win414_passes_boot_drivers_and_missing_ones() -> None:
    machine = server()
    machine.system.remove(rf"{SERVICES}\pciide")
    assert hits(machine, "WIN414") == []


def test_win415_hits_missing_files() -> None:
    found = {one.location for one in hits(without_hyper_v(), "WIN415")}
    names = ("vmbus.sys", "storvsc.sys", "netvsc.sys")
    assert found == {GuestLocation(f"{DRIVERS}/{name}") for name in names}
    machine = server()
    machine.files.remove(f"{DRIVERS}/vmstorfl.sys")
    assert hit(machine, "WIN415").location == RegistryLocation(
        "SYSTEM", rf"{SERVICES}\storflt", "ImagePath"
    )
    machine = server()
    machine.files.remove(f"{DRIVERS}/hyperkbd.sys")
    assert severity(machine, "WIN415") is Severity.WARNING


def test_win415_passes_all_releases() -> None:
    assert hits(server(), "WIN415") == []
    assert hits(server_2012_r2(), "WIN415") == []


def test_win416_hits_a_disabled_driver() -> None:
    machine = server()
    machine.driver("netvsc", 4)
    assert "netvsc has Start 4" in hit(machine, "WIN416").message


def test_win416_passes_the_default() -> None:
    assert hits(server(), "WIN416") == []


def test_win445_hits_drivers_of_others() -> None:
    assert "pvscsi has Start 0" in hit(without_hyper_v(), "WIN445").message


def test_win445_passes_disabled_ones() -> None:
    machine = server()
    machine.driver("viostor", 4)
    assert hits(machine, "WIN445") == []


def test_win446_hits_filters_without_service_or_file() -> None:
    machine = server()
    machine.system.set(DISKS, {"UpperFilters": ["gone", "partmgr"]})
    assert "has gone, but there is no such service" in hit(machine, "WIN446").message
    machine = server()
    machine.files.remove(f"{DRIVERS}/EhStorClass.sys")
    assert "EhStorClass.sys is missing" in hit(machine, "WIN446").message
    machine = server()
    machine.system.set(CDS, {"LowerFilters": ["gone"]})
    assert severity(machine, "WIN446") is Severity.WARNING


def test_win446_passes_those_of_windows() -> None:
    assert hits(server(), "WIN446") == []
    assert hits(server_2008_r2(), "WIN446") == []


def test_win447_hits_a_filter_of_another_maker() -> None:
    machine = server()
    machine.driver("mfewfpk", 1, Group="PNP_TDI")
    assert "mfewfpk" in hit(machine, "WIN447").message


def test_win447_passes_those_of_windows() -> None:
    machine = server()
    machine.driver("Tcpip", 0, Group="PNP_TDI")
    assert hits(machine, "WIN447") == []


def test_win448_hits_a_late_driver_and_a_short_timeout() -> None:
    machine = server()
    machine.driver("stornvme", 3)
    machine.system.remove(rf"{SERVICES}\stornvme\Parameters")
    assert len(hits(machine, "WIN448")) == 2


def test_win448_passes_azures_and_old_releases() -> None:
    assert hits(server(), "WIN448") == []
    machine = server_2012_r2()
    machine.driver("stornvme", 3)
    assert hits(machine, "WIN448") == []


# --- firewall


def test_win425_hits_a_profile_that_is_off() -> None:
    machine = server()
    machine.system.set(rf"{FIREWALL}\PublicProfile", {"EnableFirewall": 0})
    machine.software.set(
        r"Policies\Microsoft\WindowsFirewall\PrivateProfile", {"EnableFirewall": 0}
    )
    assert [one.message.split()[5] for one in hits(machine, "WIN425")] == [
        "PublicProfile,",
        "PrivateProfile,",
    ]


def test_win425_passes_all_on() -> None:
    assert hits(server(), "WIN425") == []


def test_win426_hits_where_nothing_lets_remote_desktop_in() -> None:
    machine = server()
    names = ("UserMode-In-TCP", "UserMode-In-UDP", "Shadow-In-TCP")
    machine.system.set(RULES, {f"RemoteDesktop-{name}": rule(active=False) for name in names})
    assert "TCP port 3389" in hit(machine, "WIN426").message
    machine.system.set(RULES, {"RemoteDesktop-UserMode-In-TCP": rule()})
    machine.system.set(RDP_TCP, {"PortNumber": 4000})
    assert "TCP port 4000" in hit(machine, "WIN426").message


def test_win426_hits_shadowing_as_a_line() -> None:
    machine = server()
    machine.system.set(RULES, {"RemoteDesktop-Shadow-In-TCP": rule(active=False)})
    assert severity(machine, "WIN426") is Severity.INFO


def test_win426_passes_own_rules_and_a_firewall_that_is_off() -> None:
    assert hits(server(), "WIN426") == []
    assert hits(server_2008_r2(), "WIN426") == []
    machine = server_2008_r2()
    machine.system.set(RULES, {"RemoteDesktop-In-TCP": rule(active=False)})
    machine.system.set(RULES, {"own": rule(port="3000-4000")})
    assert hits(machine, "WIN426") == []
    machine.system.set(RULES, {"own": rule(active=False)})
    for name in ("DomainProfile", "StandardProfile", "PublicProfile"):
        machine.system.set(rf"{FIREWALL}\{name}", {"EnableFirewall": 0})
    assert hits(machine, "WIN426") == []


def test_win427_hits_management_that_is_off() -> None:
    machine = server()
    machine.system.set(RULES, {"WINRM-HTTP-In-TCP": rule(active=False)})
    assert hit(machine, "WIN427").message.endswith("WINRM-HTTP-In-TCP")


def test_win427_passes_all_on() -> None:
    assert hits(server(), "WIN427") == []


def test_win428_hits_a_rule_that_blocks() -> None:
    machine = server()
    blocks = rule(action="Block", extra="RA4=168.63.129.16|")
    machine.system.set(RULES, {"own": blocks})
    assert severity(machine, "WIN428") is Severity.ERROR
    machine = server()
    machine.system.remove(RULES, "AzurePlatformIn")
    machine.system.remove(RULES, "AzurePlatformOut")
    assert severity(machine, "WIN428") is Severity.INFO


def test_win428_passes_a_rule_that_allows() -> None:
    machine = server()
    machine.system.set(
        RULES, {"own": rule(active=False, action="Block", extra="RA4=168.63.129.16|")}
    )
    assert hits(machine, "WIN428") == []


# --- boot data


def test_win429_hits_a_hidden_menu() -> None:
    machine = server()
    machine.element(0x25000004, (30).to_bytes(8, "little"), MANAGER)
    machine.bcd.remove(rf"Objects\{MANAGER}\Elements\26000020")
    assert hit(machine, "WIN429").message == (
        "displaybootmenu is not set, expected 1; timeout is 30, expected 5"
    )


def test_win429_passes_azures() -> None:
    assert hits(server(), "WIN429") == []


def test_win430_hits_recovery() -> None:
    machine = server()
    machine.element(0x16000009, b"\1")
    machine.element(0x15000023, (9600).to_bytes(8, "little"), EMS)
    assert [one.message for one in hits(machine, "WIN430")] == [
        "recoveryenabled is 1, expected 0",
        "emsbaudrate is 9600, expected 115200",
    ]


def test_win430_passes_azures() -> None:
    assert hits(server(), "WIN430") == []


def test_win431_hits_a_partition_of_another_disk() -> None:
    machine = server()
    machine.options["partitions"] = frozenset((DeviceId(bytes(16), PARTITION_GUID, is_gpt=True),))
    assert [one.message.split()[0] for one in hits(machine, "WIN431")] == ["device", "osdevice"]


def test_win431_passes_this_disk_and_what_is_located() -> None:
    machine = server()
    machine.options["partitions"] = frozenset((DeviceId(DISK_GUID, PARTITION_GUID, is_gpt=True),))
    assert hits(machine, "WIN431") == []
    machine.options["partitions"] = frozenset()
    machine.element(0x11000001, bytes(16) + (5).to_bytes(4, "little") + bytes(0x44))
    machine.element(0x21000001, b"short")
    assert hits(machine, "WIN431") == []
    assert hits(server(), "WIN431") == []


def test_devices_of_mbr_disks_are_read() -> None:
    data = bytearray(device())
    data[16 + 0x24] = 1
    found = device_partition(bytes(data))
    assert found == DeviceId(DISK_GUID[:4], PARTITION_GUID[:8], is_gpt=False)


def test_win432_hits_without_a_store_and_with_the_wrong_loader() -> None:
    machine = server()
    machine.system_files = MemoryFileSystem(ignores_case=True)
    assert "no boot data" in hit(machine, "WIN432").message
    machine = server()
    machine.element(0x12000002, r"\Windows\system32\winload.exe")
    assert "expected winload.efi" in hit(machine, "WIN432").message


def test_win432_passes_uefi_bios_and_other_loaders() -> None:
    assert hits(server(), "WIN432") == []
    assert hits(by_bios(server()), "WIN432") == []
    machine = server()
    machine.element(0x23000003, "{no such object}", MANAGER)
    assert hits(machine, "WIN432") == []


def test_win433_hits_safe_mode() -> None:
    machine = server()
    machine.element(0x25000080, (1).to_bytes(8, "little"))
    found = hit(machine, "WIN433")
    assert found.message == "safeboot is network, expected no such element"
    assert found.location == RegistryLocation(
        "BCD", rf"Objects\{LOADER}\Elements\25000080", "Element"
    )


def test_win433_passes_without() -> None:
    assert hits(server(), "WIN433") == []


def test_win434_hits_test_signing_and_the_debugger() -> None:
    machine = server()
    machine.element(0x16000049, b"\1")
    machine.element(0x260000A0, b"\1")
    assert [one.severity for one in hits(machine, "WIN434")] == [None, Severity.INFO]


def test_win434_passes_off() -> None:
    machine = server()
    machine.element(0x16000049, b"\0")
    assert hits(machine, "WIN434") == []


# --- releases, agent, condition


@pytest.mark.parametrize("edition", ["ServerDatacenterEval", "EnterpriseEval"])
def test_win440_hits_evaluations(edition: str) -> None:
    machine = server()
    machine.software.set(CURRENT_VERSION, {"EditionID": edition})
    assert severity(machine, "WIN440") is Severity.ERROR


def test_win440_hits_previews_as_a_warning() -> None:
    machine = server()
    lab = "25398.1.amd64fre.rs_prerelease.230901-1"
    machine.software.set(CURRENT_VERSION, {"BuildLabEx": lab})
    assert severity(machine, "WIN440") is Severity.WARNING


def test_win440_passes_full_editions() -> None:
    assert hits(server(), "WIN440") == []


def test_win441_hits_old_releases() -> None:
    assert "2012 R2" in hit(server_2012_r2(), "WIN441").message
    machine = server()
    machine.software.set(CURRENT_VERSION, {"CurrentBuild": "6003"})
    assert severity(machine, "WIN441") is Severity.ERROR


def test_win441_passes_new_ones_and_unknown_builds() -> None:
    assert hits(server(), "WIN441") == []
    assert hits(client(), "WIN441") == []
    machine = server()
    machine.software.set(CURRENT_VERSION, {"CurrentBuild": "9x"})
    assert hits(machine, "WIN441") == []


def test_win442_hits_essentials_and_home() -> None:
    machine = server()
    machine.software.set(CURRENT_VERSION, {"EditionID": "ServerSolution"})
    assert "ServerSolution" in hit(machine, "WIN442").message
    machine = client()
    machine.software.set(CURRENT_VERSION, {"EditionID": "CoreSingleLanguage"})
    assert "CoreSingleLanguage" in hit(machine, "WIN442").message


def test_win442_passes_others() -> None:
    assert hits(server(), "WIN442") == []
    assert hits(client(), "WIN442") == []


def test_win443_hits_a_missing_and_a_broken_agent() -> None:
    machine = server()
    machine.system.remove(rf"{SERVICES}\RdAgent")
    assert "not installed: no service RdAgent" in hit(machine, "WIN443").message
    machine = server()
    machine.service("RdAgent", 4)
    assert "Start of RdAgent is 4" in hit(machine, "WIN443").message
    machine = server()
    machine.service("RdAgent", ImagePath=r"C:\WindowsAzure\gone\WaAppAgent.exe")
    assert "WaAppAgent.exe, is missing" in hit(machine, "WIN443").message


def test_win443_passes_an_agent() -> None:
    assert hits(server(), "WIN443") == []


def test_win444_hits_an_old_agent() -> None:
    machine = server()
    machine.files.remove("/WindowsAzure")
    machine.files.folder("/WindowsAzure/GuestAgent_2.7.41491.901_2019-01-01")
    assert "2.7.41491.901, expected 2.7.41491.1010" in hit(machine, "WIN444").message


def test_win444_passes_the_newest_of_several() -> None:
    machine = server()
    machine.files.folder("/WindowsAzure/GuestAgent_2.7.1.1")
    assert hits(machine, "WIN444") == []


def test_win451_hits_an_old_driver() -> None:
    machine = server_2012_r2()
    machine.files.add(f"{DRIVERS}/storport.sys", pe(AMD64, (6, 3, 9600, 17000)))
    assert "6.3.9600.17000, expected 6.3.9600.18573" in hit(machine, "WIN451").message


def test_win451_passes_new_drivers_and_releases() -> None:
    machine = server_2012_r2()
    machine.files.add(f"{DRIVERS}/storport.sys", pe(AMD64, (6, 3, 9600, 20000)))
    assert hits(machine, "WIN451") == []
    assert hits(server(), "WIN451") == []


def test_win452_hits_old_components() -> None:
    machine = server_2012_r2()
    machine.files.add(f"{DRIVERS}/vmstorfl.sys", pe(AMD64, (6, 3, 9600, 16384)))
    assert "18907" in hit(machine, "WIN452").message


def test_win452_passes_new_ones() -> None:
    machine = server_2012_r2()
    machine.files.add(f"{DRIVERS}/vmstorfl.sys", pe(AMD64, (6, 3, 9600, 18907)))
    assert hits(machine, "WIN452") == []
    assert hits(server(), "WIN452") == []


SERVICING = rf"{WINDOWS}\Component Based Servicing"
SESSION = rf"{CONTROL}\Session Manager"


@pytest.mark.parametrize(
    "path",
    [
        rf"{SERVICING}\RebootPending",
        rf"{SERVICING}\PackagesPending\Package_1",
        rf"{WINDOWS}\WindowsUpdate\Auto Update\RebootRequired",
    ],
)
def test_win439_hits_pending_updates(path: str) -> None:
    machine = sealed()
    machine.software.set(path, {})
    assert severity(machine, "WIN439") is Severity.ERROR


def test_win439_hits_files_as_lesser_things() -> None:
    machine = sealed()
    machine.files.add("/Windows/WinSxS/pending.xml", "<x/>")
    machine.system.set(SESSION, {"PendingFileRenameOperations": [r"\??\C:\old", "", r"\??\C:\b"]})
    found = hits(machine, "WIN439")
    assert [one.severity for one in found] == [Severity.WARNING, Severity.INFO]


def test_win439_passes_nothing_pending() -> None:
    machine = sealed()
    machine.software.set(rf"{SERVICING}\PackagesPending", {})
    assert hits(machine, "WIN439") == []


def test_win453_hits_what_the_reader_notes() -> None:
    machine = server()
    machine.sam = MemoryHive(notes=("the hive is dirty and it has no logs",))
    assert severity(machine, "WIN453") is Severity.WARNING
    machine.sam = MemoryHive(notes=("2 log entries up to number 7 applied",))
    assert severity(machine, "WIN453") is Severity.INFO


def test_win453_passes_clean_hives() -> None:
    assert hits(server(), "WIN453") == []


def test_win454_hits_a_missing_repository() -> None:
    machine = server()
    machine.files.remove("/Windows/System32/wbem/Repository/INDEX.BTR")
    assert hit(machine, "WIN454").message.endswith("lacks INDEX.BTR")


def test_win454_passes_a_whole_one() -> None:
    assert hits(server(), "WIN454") == []


def test_win458_hits_moved_profiles() -> None:
    machine = sealed()
    machine.software.set(rf"{CURRENT_VERSION}\ProfileList", {"ProfilesDirectory": r"D:\Users"})
    assert r'"D:\Users"' in hit(machine, "WIN458").message


def test_win458_passes_the_default() -> None:
    assert hits(sealed(), "WIN458") == []


def test_win459_hits_an_identity() -> None:
    machine = sealed()
    machine.software.set(r"Microsoft\Windows Advanced Threat Protection", {"senseGuid": "1"})
    assert "senseGuid is set" in hit(machine, "WIN459").message


def test_win459_passes_without() -> None:
    assert hits(sealed(), "WIN459") == []


def test_win460_hits_a_password_without_showing_it() -> None:
    machine = sealed()
    key = rf"{CURRENT_VERSION}\Winlogon"
    machine.software.set(
        key, {"AutoAdminLogon": "1", "DefaultUserName": "bob", "DefaultPassword": "Secret1"}
    )
    password, automatic = hits(machine, "WIN460")
    assert "Secret1" not in password.message
    assert password.evidence == b""
    assert automatic.severity is Severity.WARNING


def test_win460_passes_zero_and_an_empty_password() -> None:
    machine = sealed()
    machine.software.set(rf"{CURRENT_VERSION}\Winlogon", {"DefaultPassword": ""})
    assert hits(machine, "WIN460") == []


def test_win464_hits_control_sets_that_disagree() -> None:
    machine = server()
    machine.system.set("Select", {"Default": 2, "Failed": 1})
    found = hits(machine, "WIN464")
    assert [one.severity for one in found] == [None, None, Severity.ERROR]


def test_win464_passes_one_set_with_another_last_known_good() -> None:
    machine = server()
    machine.system.set("Select", {"LastKnownGood": 2})
    assert hits(machine, "WIN464") == []


@pytest.mark.parametrize(("time", "count"), [(1721362200, 1), (1721366820, 0), (1721000000, 0)])
def test_win465_hits_the_faulty_file_only(time: int, count: int) -> None:
    machine = server()
    machine.files.add(f"{DRIVERS}/CrowdStrike/C-00000291-1.sys", b"x", modified=time)
    assert len(hits(machine, "WIN465")) == count


def test_win465_passes_other_channels() -> None:
    machine = server()
    machine.files.add(f"{DRIVERS}/CrowdStrike/C-00000285-1.sys", b"x", modified=1721362200)
    assert hits(machine, "WIN465") == []
