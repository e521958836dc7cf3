"""Clock, services, network, policies: settings of Windows."""

from __future__ import annotations

import struct

import pytest

from tests.guests.windows import (
    CONTROL,
    CURRENT_VERSION,
    INTERFACE,
    RDP_TCP,
    SERVICES,
    WINDOWS,
    captured,
    client,
    expand,
    proxy,
    sealed,
    server,
    static_address,
)
from tests.rules.windows.judging import hit, hits, severity
from vhdtool.rules.model import GuestLocation, RegistryLocation, Severity

TIME_ZONE = rf"{CONTROL}\TimeZoneInformation"
CRASH = rf"{CONTROL}\CrashControl"
MEMORY = rf"{CONTROL}\Session Manager\Memory Management"
DUMPS = r"Microsoft\Windows\Windows Error Reporting\LocalDumps"
TERMINAL_POLICY = r"Policies\Microsoft\Windows NT\Terminal Services"
REMOVABLE = r"Policies\Microsoft\Windows\RemovableStorageDevices"


def test_win401_hits_a_clock_in_local_time() -> None:
    machine = server()
    machine.system.remove(TIME_ZONE, "RealTimeIsUniversal")
    found = hit(machine, "WIN401")
    assert found.message == "RealTimeIsUniversal is not set, expected 1"
    assert found.location == RegistryLocation("SYSTEM", TIME_ZONE, "RealTimeIsUniversal")


def test_win401_passes_utc() -> None:
    assert hits(server(), "WIN401") == []


def test_win402_hits_a_manual_time_service() -> None:
    machine = server()
    machine.service("w32time", 3)
    assert hit(machine, "WIN402").message == "Start is 3, expected 2"


def test_win402_passes_an_automatic_one() -> None:
    assert hits(server(), "WIN402") == []


def test_win404_hits_another_plan() -> None:
    machine = server()
    balanced = "381b4222-f694-41f0-9685-ff5bb260df2e"
    machine.system.set(rf"{CONTROL}\Power\User\PowerSchemes", {"ActivePowerScheme": balanced})
    assert balanced in hit(machine, "WIN404").message


def test_win404_passes_high_performance() -> None:
    assert hits(server(), "WIN404") == []


def test_win405_hits_another_folder() -> None:
    machine = server()
    machine.system.set(rf"{CONTROL}\Session Manager\Environment", {"TEMP": expand(r"E:\Temp")})
    assert hit(machine, "WIN405").message == r'TEMP is "E:\Temp", expected %SystemRoot%\TEMP'


def test_win405_passes_the_default() -> None:
    assert hits(server(), "WIN405") == []


def test_win406_hits_a_route() -> None:
    machine = server()
    routes = rf"{SERVICES}\Tcpip\Parameters\PersistentRoutes"
    machine.system.set(routes, {"10.0.0.0,255.0.0.0,10.1.1.1,1": ""})
    assert "10.1.1.1" in hit(machine, "WIN406").message


def test_win406_passes_none() -> None:
    assert hits(server(), "WIN406") == []


def test_win407_hits_a_proxy_for_everything() -> None:
    machine = server()
    key = rf"{WINDOWS}\Internet Settings\Connections"
    machine.software.set(key, {"WinHttpSettings": proxy("proxy.corp:8080", "<local>")})
    assert 'the proxy "proxy.corp:8080"' in hit(machine, "WIN407").message


@pytest.mark.parametrize("bypass", ["168.63.129.16", "<local>;168.63.*", "*"])
def test_win407_passes_a_bypass(bypass: str) -> None:
    machine = server()
    key = rf"{WINDOWS}\Internet Settings\Connections"
    machine.software.set(key, {"WinHttpSettings": proxy("proxy.corp:8080", bypass)})
    assert hits(machine, "WIN407") == []
    assert hits(server(), "WIN407") == []


def test_win407_passes_what_is_cut_off() -> None:
    machine = server()
    key = rf"{WINDOWS}\Internet Settings\Connections"
    machine.software.set(key, {"WinHttpSettings": struct.pack("<IIII", 24, 0, 3, 0xFFFFFFFF)})
    assert hits(machine, "WIN407") == []


@pytest.mark.parametrize(
    ("name", "start", "expected"),
    [
        ("Dnscache", 4, Severity.ERROR),
        ("iphlpsvc", 4, Severity.WARNING),
        ("BFE", 3, Severity.WARNING),
        ("RemoteRegistry", 4, Severity.INFO),
    ],
)
def test_win408_hits_services_that_do_not_start(name: str, start: int, expected: Severity) -> None:
    machine = server()
    machine.service(name, start)
    assert severity(machine, "WIN408") is expected


def test_win408_passes_automatic_ones() -> None:
    assert hits(server(), "WIN408") == []


def test_win409_hits_a_disabled_service() -> None:
    machine = server()
    machine.service("TermService", 4)
    assert "TermService has Start 4 (disabled)" in hit(machine, "WIN409").message


def test_win409_passes_manual_and_automatic() -> None:
    machine = server()
    machine.service("TermService", 2)
    assert hits(machine, "WIN409") == []


@pytest.mark.parametrize(
    "values",
    [
        {"Start": 4},
        {"ObjectName": "LocalSystem"},
        {"Type": 1},
        {"DependOnService": ["Afd"]},
    ],
)
def test_win410_hits_a_broken_dhcp_client(values: dict[str, object]) -> None:
    machine = server()
    machine.system.set(rf"{SERVICES}\Dhcp", values)  # type: ignore[arg-type]
    assert hit(machine, "WIN410").message.startswith("Dhcp ")


def test_win410_passes_a_fresh_one() -> None:
    assert hits(server(), "WIN410") == []


def test_win411_hits_disabled_core_services() -> None:
    machine = server()
    machine.service("RpcSs", 4)
    assert severity(machine, "WIN411") is Severity.ERROR
    machine = server()
    machine.service("NlaSvc", 4)
    assert severity(machine, "WIN411") is Severity.WARNING


def test_win411_passes_those_that_start() -> None:
    assert hits(server(), "WIN411") == []


def test_win412_hits_a_static_address() -> None:
    address, name_server = hits(static_address(), "WIN412")
    assert "192.168.1.5" in address.message
    assert address.severity is None
    assert name_server.severity is Severity.WARNING


def test_win412_hits_a_sealed_image_as_a_warning() -> None:
    machine = sealed()
    machine.system.set(INTERFACE, {"EnableDHCP": 0, "IPAddress": ["192.168.1.5"]})
    assert severity(machine, "WIN412") is Severity.WARNING


def test_win412_passes_dhcp_with_an_old_address() -> None:
    machine = server()
    machine.system.set(INTERFACE, {"IPAddress": ["0.0.0.0"]})
    assert hits(machine, "WIN412") == []
    machine.system.set(INTERFACE, {"IPAddress": ["10.1.1.1"], "EnableDHCP": 1})
    assert hits(machine, "WIN412") == []


NET_CLASS = rf"{CONTROL}\Class\{{4D36E972-E325-11CE-BFC1-08002BE10318}}"


def test_win449_hits_an_adapter_of_another_hypervisor() -> None:
    machine = server()
    device = r"PCI\VEN_8086&DEV_100F&SUBSYS_075015AD\4&B70F118&0&0888"
    machine.system.set(rf"{NET_CLASS}\0007", {"DriverDesc": "PRO/1000", "DeviceInstanceID": device})
    assert "PRO/1000" in hit(machine, "WIN449").message


def test_win449_passes_those_of_azure() -> None:
    machine = server()
    for number, device in enumerate((r"VMBUS\{1}", r"PCI\VEN_15B3&DEV_1016", r"ROOT\KDNIC\0000")):
        machine.system.set(rf"{NET_CLASS}\{number:04}", {"DeviceInstanceID": device})
    assert hits(machine, "WIN449") == []


def test_win403_hits_offline_disks() -> None:
    machine = server()
    machine.system.set(rf"{SERVICES}\partmgr\Parameters", {"SanPolicy": 2})
    assert "SanPolicy is 2 (offline where shared)" in hit(machine, "WIN403").message


def test_win403_passes_online_and_none() -> None:
    machine = server()
    assert hits(machine, "WIN403") == []
    machine.system.remove(rf"{SERVICES}\partmgr\Parameters", "SanPolicy")
    assert hits(machine, "WIN403") == []


def test_win417_hits_a_disabled_drive() -> None:
    machine = sealed()
    machine.driver("cdrom", 4)
    assert "cdrom has Start 4" in hit(machine, "WIN417").message


def test_win417_passes_the_default() -> None:
    assert hits(sealed(), "WIN417") == []


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (REMOVABLE, "Deny_All"),
        (rf"{REMOVABLE}\{{53f56308-b6bf-11d0-94f2-00a0c91efb8b}}", "Deny_Read"),
    ],
)
def test_win418_hits_policies(path: str, name: str) -> None:
    machine = sealed()
    machine.software.set(path, {name: 1})
    assert hit(machine, "WIN418").message == f"{name} is 1, expected 0"


def test_win418_passes_zero_and_other_classes() -> None:
    machine = sealed()
    machine.software.set(REMOVABLE, {"Deny_All": 0})
    machine.software.set(rf"{REMOVABLE}\{{other}}", {"Deny_Read": 1})
    assert hits(machine, "WIN418") == []


def rights(sid: str, mask: int, name: str = r"Policy\Accounts") -> tuple[str, dict[str, bytes]]:
    return rf"{name}\{sid}\ActSysAc", {"": mask.to_bytes(4, "little")}


def test_win438_hits_denied_rights() -> None:
    machine = server()
    machine.security.set(*rights("S-1-5-32-544", 0x403))
    machine.security.set(*rights("S-1-5-114", 0x880))
    assert [found.message for found in hits(machine, "WIN438")] == [
        "local accounts of administrators may not log on over the network, expected that they may",
        "local accounts of administrators may not log on by remote desktop, expected that they may",
    ]


def test_win438_hits_missing_rights() -> None:
    machine = server()
    machine.security.set(*rights("S-1-5-32-544", 1))
    assert len(hits(machine, "WIN438")) == 2


def test_win438_passes_the_default() -> None:
    machine = server()
    machine.security.set(*rights("S-1-5-32-544", 0x403))
    machine.security.set(*rights("S-1-5-21-1-2-3-501", 0xC0))
    assert hits(machine, "WIN438") == []
    assert hits(server(), "WIN438") == []


def test_win435_hits_other_settings() -> None:
    machine = server()
    machine.system.set(CRASH, {"CrashDumpEnabled": 0, "DumpFile": expand(r"D:\x.dmp")})
    machine.system.remove(CRASH, "NMICrashDump")
    assert len(hits(machine, "WIN435")) == 3


def test_win435_passes_azures() -> None:
    assert hits(server(), "WIN435") == []


def test_win436_hits_without_a_folder() -> None:
    machine = server()
    machine.software.remove(DUMPS)
    assert "DumpFolder is not set" in hit(machine, "WIN436").message


def test_win436_passes_with_one() -> None:
    assert hits(server(), "WIN436") == []


def test_win437_hits_a_page_file_on_d() -> None:
    machine = server()
    machine.system.set(MEMORY, {"PagingFiles": [r"D:\pagefile.sys 0 0"]})
    assert r"D:\pagefile.sys" in hit(machine, "WIN437").message


def test_win437_passes_other_drives() -> None:
    machine = server()
    machine.system.set(MEMORY, {"PagingFiles": [r"C:\pagefile.sys 0 0"]})
    assert hits(machine, "WIN437") == []


def test_win450_hits_a_domain_controller() -> None:
    machine = server()
    machine.system.set(rf"{CONTROL}\ProductOptions", {"ProductType": "LanmanNT"})
    assert "domain controller" in hit(machine, "WIN450").message


def test_win450_passes_a_member() -> None:
    assert hits(server(), "WIN450") == []


def test_win455_hits_a_server_without_console() -> None:
    machine = server()
    machine.service("sacsvr", 4)
    machine.system.remove(rf"{SERVICES}\sacdrv")
    assert len(hits(machine, "WIN455")) == 2


def test_win455_passes_servers_with_it_and_clients() -> None:
    assert hits(server(), "WIN455") == []
    assert hits(client(), "WIN455") == []


def test_win462_hits_a_policy() -> None:
    machine = server()
    machine.software.set(r"Policies\Microsoft\Windows\System", {"CleanupProfiles": 30})
    assert "after 30 days" in hit(machine, "WIN462").message


def test_win462_passes_none() -> None:
    assert hits(server(), "WIN462") == []


def test_win463_hits_msconfig() -> None:
    machine = server()
    machine.software.set(r"Microsoft\Shared Tools\MSConfig\services\Spooler", {})
    assert "Spooler" in hit(machine, "WIN463").message


def test_win463_passes_empty_keys() -> None:
    machine = server()
    machine.software.set(r"Microsoft\Shared Tools\MSConfig\services", {})
    assert hits(machine, "WIN463") == []


SCRIPTS = "/Windows/System32/GroupPolicy/Machine/Scripts/scripts.ini"


def test_win466_hits_a_script() -> None:
    machine = sealed()
    machine.files.add(
        SCRIPTS, "\r\n[Startup]\r\n0CmdLine=map.cmd\r\n0Parameters=\r\n".encode("utf-16")
    )
    assert hit(machine, "WIN466").location == GuestLocation(SCRIPTS, 3)


def test_win466_passes_an_empty_list() -> None:
    machine = sealed()
    machine.files.add(SCRIPTS, "\r\n".encode("utf-16"))
    assert hits(machine, "WIN466") == []


def test_win467_hits_blank_passwords() -> None:
    machine = server()
    machine.system.set(rf"{CONTROL}\Lsa", {"LimitBlankPasswordUse": 0})
    assert hit(machine, "WIN467").message == "LimitBlankPasswordUse is 0, expected 1"


def test_win467_passes_the_default() -> None:
    assert hits(server(), "WIN467") == []


# --- remote desktop


def test_win419_hits_by_setting_and_by_policy() -> None:
    machine = server()
    machine.system.set(rf"{CONTROL}\Terminal Server", {"fDenyTSConnections": 1})
    assert "expected 0" in hit(machine, "WIN419").message
    machine = server()
    machine.software.set(TERMINAL_POLICY, {"fDenyTSConnections": 1})
    assert "the policy" in hit(machine, "WIN419").message


def test_win419_passes_where_the_policy_allows_it() -> None:
    machine = server()
    machine.system.set(rf"{CONTROL}\Terminal Server", {"fDenyTSConnections": 1})
    machine.software.set(TERMINAL_POLICY, {"fDenyTSConnections": 0})
    assert hits(machine, "WIN419") == []
    assert hits(server(), "WIN419") == []


def test_win420_hits_another_port() -> None:
    machine = server()
    machine.system.set(RDP_TCP, {"PortNumber": 33890})
    assert hit(machine, "WIN420").message == "PortNumber is 33890, expected 3389"


def test_win420_passes_3389() -> None:
    assert hits(server(), "WIN420") == []


def test_win421_hits_one_adapter_and_a_listener_that_is_off() -> None:
    machine = server()
    machine.system.set(RDP_TCP, {"LanAdapter": 2, "fEnableWinStation": 0})
    assert len(hits(machine, "WIN421")) == 2


def test_win421_passes_all_adapters() -> None:
    assert hits(server(), "WIN421") == []


def test_win422_hits_without_authentication() -> None:
    machine = server()
    machine.system.set(RDP_TCP, {"UserAuthentication": 0})
    assert hit(machine, "WIN422").message == "UserAuthentication is 0, expected 1"


def test_win422_passes_with_it() -> None:
    assert hits(server(), "WIN422") == []


def test_win423_hits_the_defaults_of_windows() -> None:
    machine = server()
    machine.software.remove(TERMINAL_POLICY)
    machine.system.set(RDP_TCP, {"KeepAliveTimeout": 0})
    policy, listener = hits(machine, "WIN423")
    assert policy.message.count("is not set") == 3
    assert listener.message == "KeepAliveTimeout is 0, expected 1"


def test_win423_passes_azures() -> None:
    assert hits(server(), "WIN423") == []


def test_win424_hits_a_bound_certificate() -> None:
    machine = server()
    machine.system.set(RDP_TCP, {"SSLCertificateSHA1Hash": bytes(range(20))})
    assert "00 01 02" in hit(machine, "WIN424").message


def test_win424_passes_zeros() -> None:
    machine = server()
    machine.system.set(RDP_TCP, {"SSLCertificateSHA1Hash": bytes(20)})
    assert hits(machine, "WIN424") == []
    assert hits(captured(), "WIN424") == []


def test_win461_hits_windows_before_the_fix() -> None:
    machine = server()
    machine.software.set(CURRENT_VERSION, {"CurrentBuild": "14393", "UBR": 2189})
    assert (
        hit(machine, "WIN461").message == "this is build 14393.2189, expected at least 14393.2248"
    )


def test_win461_passes_later_ones() -> None:
    machine = server()
    machine.software.set(CURRENT_VERSION, {"CurrentBuild": "14393", "UBR": 2248})
    assert hits(machine, "WIN461") == []
    assert hits(server(), "WIN461") == []
