"""Phony Windows guests: a volume in memory and hives, as an installation has them.

    machine = sealed()
    machine.system.set(rf"{CONTROL}\\Lsa", {"LimitBlankPasswordUse": 0})
    assert findings(machine.guest()) == {"WIN467"}

`server()` is a Windows Server 2022 that is prepared as Azure wants it, running; every other one is
made from it and differs in what its name says.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vhdtool.guest.filesystem import Volume
from vhdtool.guest.memory import MemoryFileSystem, MemoryHive
from vhdtool.guest.registry import Kind, Value
from vhdtool.guest.tree import Tree
from vhdtool.guest.windows.guest import WindowsGuest
from vhdtool.units import GIB

if TYPE_CHECKING:
    from collections.abc import Mapping

SET = "ControlSet001"
CONTROL = rf"{SET}\Control"
SERVICES = rf"{SET}\Services"
CURRENT_VERSION = r"Microsoft\Windows NT\CurrentVersion"
WINDOWS = r"Microsoft\Windows\CurrentVersion"
RDP_TCP = rf"{CONTROL}\Terminal Server\WinStations\RDP-Tcp"
FIREWALL = rf"{SERVICES}\SharedAccess\Parameters\FirewallPolicy"
INTERFACE = rf"{SERVICES}\Tcpip\Parameters\Interfaces\{{B0E24C4B-50F2-4B60-BCB3-EF2C3FF3394E}}"
CACHE = r"Microsoft\ServerManager\ServicingStorage\ServerComponentCache"
USERS = r"SAM\Domains\Account\Users"
MANAGER = "{9dea862c-5cdd-4e70-acc1-f32b344d4795}"
LOADER = "{733b62e5-f608-11eb-825c-c112f60133ab}"
EMS = "{0ce4991b-e6b3-4b16-b23c-5e0d9250e5d9}"
STATE_INI = "/Windows/Setup/State/State.ini"
TAG = "/Windows/System32/Sysprep/Sysprep_succeeded.tag"
SYSPREP_LOGS = "/Windows/System32/Sysprep/Panther"
WANTED = "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE"
COMPLETE = "IMAGE_STATE_COMPLETE"
UNDEPLOYABLE = "IMAGE_STATE_UNDEPLOYABLE"
AMD64, ARM64, I386 = 0x8664, 0xAA64, 0x014C
SEALED_AT = 1_700_000_000
DISK_GUID, PARTITION_GUID = bytes(range(16)), bytes(range(16, 32))
_TICKS, _EPOCH = 10_000_000, 11_644_473_600


@dataclass
class Machine:
    """The parts of a guest, to be changed before `guest()` looks at them."""

    files: MemoryFileSystem
    system: MemoryHive
    software: MemoryHive
    sam: MemoryHive
    security: MemoryHive
    bcd: MemoryHive
    system_files: MemoryFileSystem | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def guest(self) -> WindowsGuest:
        hives = {
            "SYSTEM": self.system,
            "SOFTWARE": self.software,
            "SAM": self.sam,
            "SECURITY": self.security,
            "BCD": self.bcd,
        }
        volumes = {} if self.system_files is None else {"partition 1": Tree(self.system_files)}
        return WindowsGuest(Tree(self.files), hives=hives, system_volumes=volumes, **self.options)

    def service(self, name: str, start: int = 2, **values: Any) -> None:
        self.system.set(rf"{SERVICES}\{name}", {"Start": start, "Type": 0x20, **values})

    def driver(self, name: str, start: int, file: str | None = None, **values: Any) -> None:
        file = file or f"{name}.sys"
        image = expand(rf"System32\drivers\{file}")
        values = {"Start": start, "Type": 1, "ImagePath": image, **values}
        self.system.set(rf"{SERVICES}\{name}", values)
        self.files.add(f"/Windows/System32/drivers/{file}", pe(AMD64, (10, 0, 20348, 1)))

    def image_state(self, registry: str, ini: str | None = None) -> None:
        self.software.set(rf"{WINDOWS}\Setup\State", {"ImageState": registry})
        text = f"[State]\r\nImageState={ini or registry}\r\n"
        self.files.add(STATE_INI, text.encode("utf-16"))

    def account(self, name: str, rid: int, *, enabled: bool = True, control: int = 0x10) -> None:
        bits = control if enabled else control | 1
        fixed = bytes(0x38) + struct.pack("<H", bits) + bytes(22)
        self.sam.set(rf"{USERS}\{rid:08X}", {"F": fixed, "V": b"\0" * 0xCC})
        self.sam.set(rf"{USERS}\Names\{name}", {"": Value("", rid, b"")})

    def component(self, name: str, state: int = 1) -> None:
        self.software.set(rf"{CACHE}\{name}", {"InstallState": state})

    def element(self, number: int, content: bytes | str, of: str = LOADER) -> None:
        self.bcd.set(rf"Objects\{of}\Elements\{number:08x}", {"Element": content})


def expand(text: str) -> Value:
    return Value("", Kind.EXPAND_SZ, f"{text}\0".encode("utf-16-le"))


def filetime(seconds: int) -> bytes:
    return ((seconds + _EPOCH) * _TICKS).to_bytes(8, "little")


def pe(machine: int, version: tuple[int, int, int, int] | None = None) -> bytes:
    """The head of an executable, and a version resource."""
    head = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x80)
    data = head.ljust(0x80, b"\0") + b"PE\0\0" + struct.pack("<H", machine) + bytes(0x100)
    if version is None:
        return data
    a, b, c, d = version
    return data + struct.pack("<IIII", 0xFEEF04BD, 0x10000, a << 16 | b, c << 16 | d) + bytes(36)


def device(disk: bytes = DISK_GUID, partition: bytes = PARTITION_GUID) -> bytes:
    """A device element that names a partition of a GPT disk."""
    head = bytes(16) + struct.pack("<IIQ", 6, 0, 0x48) + partition.ljust(20, b"\0")
    return head + struct.pack("<I", 0) + disk.ljust(32, b"\0")


def rule(active: bool = True, port: str = "3389", action: str = "Allow", extra: str = "") -> str:
    return (
        f"v2.31|Action={action}|Active={str(active).upper()}|Dir=In|Protocol=6|LPort={port}|"
        rf"App=%SystemRoot%\system32\svchost.exe|Svc=termservice|{extra}"
    )


def proxy(server: str, bypass: str = "") -> bytes:
    parts = (server.encode(), bypass.encode())
    return struct.pack("<III", 0x18, 0, 3) + b"".join(
        struct.pack("<I", len(part)) + part for part in parts
    )


def server() -> Machine:
    """Windows Server 2022, prepared for Azure, running and never sealed."""
    machine = Machine(
        MemoryFileSystem(ignores_case=True, volume=Volume("NTFS", size=60 * GIB, free=40 * GIB)),
        MemoryHive(_system()),
        MemoryHive(_software()),
        MemoryHive(),
        MemoryHive({r"Policy\PolPrDmS": {"": Value("", Kind.NONE, bytes(4))}}),
        MemoryHive(),
    )
    files = machine.files
    files.add("/Windows/System32/ntoskrnl.exe", pe(AMD64, (10, 0, 20348, 2227)))
    for name in ("SYSTEM", "SOFTWARE", "SAM", "SECURITY"):
        files.add(f"/Windows/System32/config/{name}", b"regf")
    for name in ("OBJECTS.DATA", "INDEX.BTR", "MAPPING1.MAP"):
        files.add(f"/Windows/System32/wbem/Repository/{name}", b"x")
    files.add("/Windows/System32/drivers/etc/hosts", "# Copyright\r\n#\t127.0.0.1 localhost\r\n")
    for name in ("vmbus", "storvsc", "disk", "partmgr", "volmgr", "volsnap", "fvevol", "ntfs"):
        machine.driver(name, 0)
    for name in ("atapi", "intelide", "pciide", "EhStorClass", "rdyboost", "iorate", "volume"):
        machine.driver(name, 0)
    machine.driver("storflt", 0, "vmstorfl.sys")
    machine.driver("stornvme", 0)
    machine.driver("netvsc", 3)
    machine.driver("hyperkbd", 3)
    machine.driver("HyperVideo", 3)
    machine.driver("vpci", 3)
    machine.driver("cdrom", 1)
    machine.driver("sacdrv", 0)
    files.add("/Windows/System32/drivers/storport.sys", pe(AMD64, (10, 0, 20348, 1)))
    files.add("/Windows/System32/drivers/srv.sys", pe(AMD64, (10, 0, 20348, 1)))
    for name, start in _SERVICES.items():
        machine.service(name, start)
    machine.service("Dhcp", ObjectName=r"NT Authority\LocalService", DependOnService=["NSI", "Afd"])
    machine.account("Administrator", 500)
    machine.account("Guest", 501, enabled=False)
    machine.account("DefaultAccount", 503, enabled=False)
    machine.account("WDAGUtilityAccount", 504, enabled=False)
    machine.image_state(COMPLETE)
    _boot(machine)
    _agent(machine)
    return machine


_SERVICES = {
    **dict.fromkeys(("BFE", "Dnscache", "IKEEXT", "iphlpsvc", "nsi", "mpssvc"), 2),
    **dict.fromkeys(("RemoteRegistry", "w32time", "RpcSs", "RpcEptMapper", "DcomLaunch"), 2),
    **dict.fromkeys(("EventLog", "LSM", "gpsvc", "ProfSvc", "SamSs", "Winmgmt", "CryptSvc"), 2),
    **dict.fromkeys(("Netlogon", "Netman", "TermService", "PlugPlay", "NetSetupSvc", "WerSvc"), 3),
    **dict.fromkeys(("NlaSvc", "sacsvr", "WinRM"), 2),
    **dict.fromkeys(("wuauserv", "TrustedInstaller"), 3),
    "RemoteAccess": 4,
}


def _system() -> Mapping[str, Any]:
    return {
        "Select": {"Current": 1, "Default": 1, "Failed": 0, "LastKnownGood": 1},
        "Setup": {
            "SetupType": 0,
            "CmdLine": "",
            "SystemSetupInProgress": 0,
            "OOBEInProgress": 0,
            "CloneTag": ["Tue Mar 18 03:20:53 2014"],
            "RespecializeCmdLine": r"Sysprep\sysprep.exe /respecialize /quiet",
        },
        r"Setup\Status": {"AuditBoot": 0},
        r"Setup\Status\SysprepStatus": {"GeneralizationState": 7, "CleanupState": 2},
        rf"{CONTROL}\Windows": {"ShutdownTime": filetime(SEALED_AT + 60)},
        rf"{CONTROL}\ComputerName\ComputerName": {"ComputerName": "WIN-5U7KQ3CTQ2J"},
        rf"{CONTROL}\ProductOptions": {"ProductType": "ServerNT"},
        rf"{CONTROL}\TimeZoneInformation": {"RealTimeIsUniversal": 1, "TimeZoneKeyName": "UTC"},
        rf"{CONTROL}\CrashControl": {
            "CrashDumpEnabled": 2,
            "DumpFile": expand(r"%SystemRoot%\MEMORY.DMP"),
            "NMICrashDump": 1,
        },
        rf"{CONTROL}\Lsa": {"LimitBlankPasswordUse": 1},
        rf"{CONTROL}\Power\User\PowerSchemes": {
            "ActivePowerScheme": "8c5e7fda-e8bf-4a96-9a85-a6e23a8c635c"
        },
        rf"{CONTROL}\Session Manager\Environment": {
            "TEMP": expand(r"%SystemRoot%\TEMP"),
            "TMP": expand(r"%SystemRoot%\TEMP"),
            "PROCESSOR_ARCHITECTURE": "AMD64",
        },
        rf"{CONTROL}\Session Manager\Memory Management": {"PagingFiles": [r"?:\pagefile.sys"]},
        rf"{CONTROL}\Terminal Server": {"fDenyTSConnections": 0},
        RDP_TCP: {
            "PortNumber": 3389,
            "LanAdapter": 0,
            "fEnableWinStation": 1,
            "UserAuthentication": 1,
            "KeepAliveTimeout": 1,
            "fInheritReconnectSame": 1,
            "fReconnectSame": 0,
            "MaxInstanceCount": 0xFFFFFFFF,
        },
        rf"{SERVICES}\partmgr\Parameters": {"SanPolicy": 1},
        rf"{SERVICES}\stornvme\Parameters": {"IoTimeoutValue": 240},
        rf"{SERVICES}\Tcpip\Parameters": {"Domain": "", "NV Domain": "", "Hostname": "WIN"},
        rf"{SERVICES}\Tcpip\Parameters\PersistentRoutes": {},
        INTERFACE: {"EnableDHCP": 1, "NameServer": "", "DhcpIPAddress": "10.0.0.4"},
        rf"{FIREWALL}\DomainProfile": {"EnableFirewall": 1},
        rf"{FIREWALL}\StandardProfile": {"EnableFirewall": 1},
        rf"{FIREWALL}\PublicProfile": {"EnableFirewall": 1},
        rf"{FIREWALL}\FirewallRules": {
            "RemoteDesktop-UserMode-In-TCP": rule(),
            "RemoteDesktop-UserMode-In-UDP": rule().replace("Protocol=6", "Protocol=17"),
            "RemoteDesktop-Shadow-In-TCP": rule(),
            "WINRM-HTTP-In-TCP": rule(port="5985"),
            "WINRM-HTTP-In-TCP-PUBLIC": rule(port="5985"),
            "WINRM-HTTP-Compat-In-TCP": rule(port="80"),
            "FPS-ICMP4-ERQ-In": rule(port="").replace("Protocol=6", "Protocol=1"),
            "AzurePlatformIn": rule(extra="RA4=168.63.129.16|"),
            "AzurePlatformOut": rule(extra="RA4=168.63.129.16|").replace("Dir=In", "Dir=Out"),
        },
        rf"{CONTROL}\Class\{{4D36E967-E325-11CE-BFC1-08002BE10318}}": {
            "UpperFilters": ["partmgr"],
            "LowerFilters": ["EhStorClass"],
        },
        rf"{CONTROL}\Class\{{71A27CDD-812A-11D0-BEC7-08002BE2092F}}": {
            "UpperFilters": ["volsnap"],
            "LowerFilters": ["fvevol", "iorate", "rdyboost"],
        },
    }


def _software() -> Mapping[str, Any]:
    return {
        CURRENT_VERSION: {
            "ProductName": "Windows Server 2022 Datacenter",
            "EditionID": "ServerDatacenter",
            "InstallationType": "Server",
            "CurrentBuild": "20348",
            "UBR": 2227,
            "DisplayVersion": "21H2",
            "BuildLabEx": "20348.1.amd64fre.fe_release.210507-1500",
        },
        rf"{CURRENT_VERSION}\Winlogon": {"AutoAdminLogon": "0"},
        rf"{CURRENT_VERSION}\ProfileList": {"ProfilesDirectory": expand(r"%SystemDrive%\Users")},
        rf"{CURRENT_VERSION}\SoftwareProtectionPlatform": {"SkipRearm": 0},
        rf"{WINDOWS}\Component Based Servicing\Packages": {},
        rf"{WINDOWS}\Internet Settings\Connections": {
            "WinHttpSettings": bytes.fromhex("1800000000000000010000000000000000000000")
        },
        r"Microsoft\Windows\Windows Error Reporting\LocalDumps": {
            "DumpFolder": expand(r"C:\CrashDumps"),
            "DumpType": 2,
            "DumpCount": 10,
        },
        r"Policies\Microsoft\Windows NT\Terminal Services": {
            "KeepAliveEnable": 1,
            "KeepAliveInterval": 1,
            "fDisableAutoReconnect": 0,
        },
        rf"{CACHE}\Storage-Services": {"InstallState": 1},
        rf"{CACHE}\DHCP": {"InstallState": 0},
    }


def _boot(machine: Machine) -> None:
    machine.system_files = MemoryFileSystem({}, ignores_case=True)
    for path in ("Microsoft/Boot/bootmgfw.efi", "Boot/bootx64.efi"):
        machine.system_files.add(f"/EFI/{path}", pe(AMD64))
    machine.system_files.add("/EFI/Microsoft/Boot/BCD", b"regf")
    machine.element(0x12000002, r"\EFI\Microsoft\Boot\bootmgfw.efi", MANAGER)
    machine.element(0x23000003, LOADER, MANAGER)
    machine.element(0x25000004, (5).to_bytes(8, "little"), MANAGER)
    machine.element(0x26000020, b"\1", MANAGER)
    machine.element(0x16000020, b"\1", MANAGER)
    machine.element(0x11000001, device())
    machine.element(0x21000001, device())
    machine.element(0x12000002, r"\Windows\system32\winload.efi")
    machine.element(0x16000009, b"\0")
    machine.element(0x250000E0, (1).to_bytes(8, "little"))
    machine.element(0x260000B0, b"\1")
    machine.element(0x15000022, (1).to_bytes(8, "little"), EMS)
    machine.element(0x15000023, (115200).to_bytes(8, "little"), EMS)


def _agent(machine: Machine) -> None:
    folder = "/WindowsAzure/GuestAgent_2.7.41491.1172_2024-10-01_000000"
    for name, program in (
        ("RdAgent", "WaAppAgent"),
        ("WindowsAzureGuestAgent", "WindowsAzureGuestAgent"),
    ):
        path = f"{folder}/{program}.exe"
        machine.files.add(path, pe(AMD64))
        machine.service(name, ImagePath="C:" + path.replace("/", "\\"))


def seal(machine: Machine) -> Machine:
    """What `sysprep /generalize /oobe /shutdown` leaves behind."""
    machine.image_state(WANTED)
    machine.files.add(TAG, b"", modified=SEALED_AT)
    machine.system.set(
        "Setup",
        {
            "SetupType": 2,
            "CmdLine": r"oobe\windeploy.exe",
            "SystemSetupInProgress": 1,
            "OOBEInProgress": 1,
        },
    )
    machine.files.add(
        f"{SYSPREP_LOGS}/setupact.log",
        "2023-11-14 22:12:00, Info                  SYSPRP ========================\r\n"
        "2023-11-14 22:12:00, Info       [0x0f004d] SYSPRP The time is now\r\n"
        "2023-11-14 22:13:20, Info                  SYSPRP FCreateTagFile:Successfully created\r\n",
    )
    machine.files.add(f"{SYSPREP_LOGS}/setuperr.log", b"")
    return machine


def sealed() -> Machine:
    """A Windows Server 2022 that Sysprep has generalized and sealed."""
    return seal(server())


def failed_sysprep() -> Machine:
    """Sysprep stopped half way, and said why."""
    machine = server()
    machine.image_state(UNDEPLOYABLE, WANTED)
    machine.system.set(r"Setup\Status\SysprepStatus", {"GeneralizationState": 3, "CleanupState": 2})
    error = (
        "2023-11-14 22:12:10, Error      [0x0f0073] SYSPRP RunExternalDlls:Not running DLLs; "
        "either the machine is in an invalid state or we couldn't update the recorded state, "
        "dwRet = 31\r\n"
    )
    machine.files.add(f"{SYSPREP_LOGS}/setuperr.log", error)
    machine.files.add(
        f"{SYSPREP_LOGS}/setupact.log", "2023-11-14 22:12:00, Info SYSPRP starts\r\n" + error
    )
    return machine


def audit() -> Machine:
    """Sealed for audit mode, as a factory does."""
    machine = sealed()
    machine.image_state("IMAGE_STATE_GENERALIZE_RESEAL_TO_AUDIT")
    machine.system.set(r"Setup\Status", {"AuditBoot": 1})
    return machine


def captured() -> Machine:
    """A machine that ran in Azure: deployed from a sealed image, not sealed again."""
    machine = server()
    machine.files.add(TAG, b"", modified=SEALED_AT)
    for path in ("/Windows/Panther/WaSetup.xml", "/Windows/Panther/UnattendGC/setupact.log"):
        machine.files.add(path, b"x", modified=SEALED_AT + 86_400)
    machine.files.add("/AzureData/CustomData.bin", b"x", modified=SEALED_AT + 86_400)
    machine.files.folder("/WindowsAzure/Logs")
    machine.files.add("/Packages/Plugins/Microsoft.Compute.VMAccessAgent/2.4.8/x.json", b"{}")
    machine.account("azureuser", 1000)
    return machine


def domain_member() -> Machine:
    """A member of an Active Directory domain."""
    machine = server()
    machine.system.set(rf"{SERVICES}\Tcpip\Parameters", {"NV Domain": "corp.example"})
    sid = bytes.fromhex("010400000000000515000000") + bytes(range(12))
    machine.security.set(r"Policy\PolPrDmS", {"": Value("", Kind.NONE, sid)})
    return machine


def with_roles() -> Machine:
    """A server with a certification authority, DHCP and IIS."""
    machine = sealed()
    for name in ("AD-Certificate", "DHCP", "Web-Server"):
        machine.component(name)
    machine.service("CertSvc")
    machine.service("DHCPServer")
    machine.service("W3SVC")
    return machine


def static_address() -> Machine:
    """An interface with an address of its own."""
    machine = server()
    machine.system.set(
        INTERFACE, {"EnableDHCP": 0, "IPAddress": ["192.168.1.5"], "NameServer": "192.168.1.1"}
    )
    return machine


def without_hyper_v() -> Machine:
    """A machine that comes from another hypervisor: no drivers for Hyper-V, but VMware's."""
    machine = server()
    for name in ("vmbus", "storvsc", "storflt", "netvsc"):
        machine.system.remove(rf"{SERVICES}\{name}")
    for name in ("vmbus", "storvsc", "vmstorfl", "netvsc"):
        machine.files.remove(f"/Windows/System32/drivers/{name}.sys")
    machine.driver("pvscsi", 0)
    machine.driver("vmxnet3ndis6", 3)
    machine.service("VMTools")
    return machine


def client() -> Machine:
    """Windows 11 Enterprise."""
    machine = server()
    machine.software.set(
        CURRENT_VERSION,
        {
            "ProductName": "Windows 10 Enterprise",
            "EditionID": "Enterprise",
            "InstallationType": "Client",
            "CurrentBuild": "22631",
            "UBR": 3007,
            "DisplayVersion": "23H2",
            "BuildLabEx": "22621.1.amd64fre.ni_release.220506-1250",
        },
    )
    machine.system.set(rf"{CONTROL}\ProductOptions", {"ProductType": "WinNT"})
    machine.system.remove(rf"{SERVICES}\sacsvr")
    machine.system.remove(rf"{SERVICES}\sacdrv")
    machine.software.remove(CACHE)
    return machine


def server_2012_r2() -> Machine:
    """Windows Server 2012 R2: netvsc63.sys, boots by BIOS."""
    machine = server()
    _release(machine, "Windows Server 2012 R2 Datacenter", "9600", (6, 3, 9600, 20778))
    machine.driver("netvsc", 3, "netvsc63.sys")
    machine.files.remove("/Windows/System32/drivers/netvsc.sys")
    by_bios(machine)
    return machine


def server_2008_r2() -> Machine:
    """Windows Server 2008 R2: older names of firewall rules, no cache of roles."""
    machine = server()
    _release(machine, "Windows Server 2008 R2 Datacenter", "7601", (6, 1, 7601, 24000))
    rules = rf"{FIREWALL}\FirewallRules"
    for name in ("UserMode-In-TCP", "UserMode-In-UDP", "Shadow-In-TCP"):
        machine.system.remove(rules, f"RemoteDesktop-{name}")
    machine.system.set(rules, {"RemoteDesktop-In-TCP": rule()})
    machine.system.remove(rf"{SERVICES}\stornvme")
    for name in ("iorate", "EhStorClass"):
        machine.system.remove(rf"{SERVICES}\{name}")
    classes = rf"{CONTROL}\Class"
    machine.system.set(
        rf"{classes}\{{71A27CDD-812A-11D0-BEC7-08002BE2092F}}",
        {"LowerFilters": ["fvevol", "rdyboost"]},
    )
    machine.system.remove(rf"{classes}\{{4D36E967-E325-11CE-BFC1-08002BE10318}}", "LowerFilters")
    machine.software.remove(CACHE)
    by_bios(machine)
    return machine


def _release(machine: Machine, name: str, build: str, version: tuple[int, int, int, int]) -> None:
    machine.software.set(CURRENT_VERSION, {"ProductName": name, "CurrentBuild": build})
    machine.software.set(CURRENT_VERSION, {"BuildLabEx": f"{build}.1.amd64fre.release.1"})
    machine.software.remove(CURRENT_VERSION, "DisplayVersion")
    machine.software.remove(CURRENT_VERSION, "UBR")
    machine.files.add("/Windows/System32/ntoskrnl.exe", pe(AMD64, version))
    machine.files.add("/Windows/System32/drivers/srv.sys", pe(AMD64, version))


def by_bios(machine: Machine) -> Machine:
    """Move the boot files to a partition that BIOS starts."""
    machine.system_files = MemoryFileSystem(
        {"/bootmgr": b"x", "/Boot/BCD": b"regf"}, ignores_case=True
    )
    machine.element(0x12000002, r"\bootmgr", MANAGER)
    machine.element(0x12000002, r"\Windows\system32\winload.exe")
    return machine
