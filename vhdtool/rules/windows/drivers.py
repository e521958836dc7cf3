"""Drivers that a machine in Azure needs to start, and those that keep it from starting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.guest.windows.product import SERVER_2019, WINDOWS_8, WINDOWS_10
from vhdtool.guest.windows.services import SERVICES, Start
from vhdtool.rules.windows.declare import ERROR, GEN1, GEN2, INFO, WARNING, windows_rule
from vhdtool.rules.windows.hits import described, file_hit, key_hit, quoted, value_hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.windows.guest import WindowsGuest
    from vhdtool.rules.model import Hit

_DRIVERS = "/Windows/System32/drivers"
_MUST_BE_THERE = (
    "vmbus.sys",
    "storvsc.sys",
    "disk.sys",
    "partmgr.sys",
    "volmgr.sys",
    "ntfs.sys",
    "storport.sys",
)
_SHOULD_BE_THERE = ("hyperkbd.sys", "HyperVideo.sys", "vpci.sys")
_FOREIGN = (
    "vmci",
    "vsock",
    "pvscsi",
    "vmxnet3ndis6",
    "vmxnet3",
    "vioscsi",
    "viostor",
    "netkvm",
    "xenbus",
    "xenfilt",
    "xenvbd",
    "VBoxGuest",
)
_CLASSES = {
    "{4D36E967-E325-11CE-BFC1-08002BE10318}": ("disks", None),
    "{4D36E97B-E325-11CE-BFC1-08002BE10318}": ("SCSI controllers", None),
    "{4D36E96A-E325-11CE-BFC1-08002BE10318}": ("IDE controllers", None),
    "{71A27CDD-812A-11D0-BEC7-08002BE2092F}": ("volumes", None),
    "{4D36E972-E325-11CE-BFC1-08002BE10318}": ("network adapters", WARNING),
    "{4D36E965-E325-11CE-BFC1-08002BE10318}": ("CD-ROM drives", WARNING),
}
_OF_WINDOWS = frozenset(
    (
        "afd",
        "ndproxy",
        "netbt",
        "smb",
        "tcpip",
        "tcpip6",
        "tdx",
        "tdi",
        "tcpipreg",
        "netbios",
        "ws2ifsl",
    )
)
_NVME_TIMEOUT = 240


@windows_rule("WIN413", "hyper-v-drivers-not-at-boot", ERROR)
def hyper_v_drivers_not_at_boot(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The drivers vmbus and storvsc are there and start with the system (Start 0). So does storflt,
    which is a warning where it does not.

    ## Why it matters
    All disks of a machine in Azure hang on them, but for the OS disk of generation 1 until Windows
    has started. Without them Windows stops with 0x7B, or has no data disks.

    ## How to fix
    Set Start to 0. Where a driver is missing, install the integration services; of Windows 7 and
    later they are a part.

    ## Source
    - Azure Migrate, "Prepare for agentless migration"
    - Sample hives. StartOverride is not judged: Windows keeps it for each configuration of hardware
    apart, and Azure's is a new one.
    """
    root = None if guest.system is None else guest.system.key(SERVICES)
    if root is None:
        return
    boots_by_ide = guest.product.build is not None and guest.product.build < WINDOWS_8
    for name in ("vmbus", "storvsc", "storflt"):
        service = guest.services.get(name)
        if service is None:
            if name != "storflt":
                yield key_hit(root, f"the driver {name} is missing, expected with Start 0 (boot)")
        elif service.start != Start.BOOT:
            value = described(service.key.value("Start"))
            message = f"Start of {name} {value}, expected 0 (boot)"
            milder = name == "storflt" or (name == "storvsc" and boots_by_ide)
            yield key_hit(service.key, message, "Start", WARNING if milder else None)


@windows_rule("WIN414", "ide-drivers-not-at-boot", ERROR, GEN1)
def ide_drivers_not_at_boot(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The drivers intelide and atapi start with the system (Start 0) where they are there. So does
    pciide, which is only told.

    ## Why it matters
    The OS disk of a generation 1 machine is on an IDE controller.

    ## How to fix
    Set Start to 0.

    ## Source
    - Azure Migrate, "Prepare for agentless migration"
    - A sample hive of Windows 7 has pciide 3 and boots from intelide.
    """
    for name in ("intelide", "atapi", "pciide"):
        service = guest.services.get(name)
        if service is not None and service.start != Start.BOOT:
            value = described(service.key.value("Start"))
            severity = INFO if name == "pciide" else None
            yield key_hit(
                service.key, f"Start of {name} {value}, expected 0 (boot)", "Start", severity
            )


@windows_rule("WIN415", "driver-file-missing", ERROR)
def driver_file_missing(guest: WindowsGuest) -> Iterator[Hit]:
    r"""
    ## What it checks
    \Windows\System32\drivers has vmbus.sys, storvsc.sys, a netvsc*.sys, disk.sys, partmgr.sys,
    volmgr.sys, ntfs.sys and storport.sys, and the files of the services storflt and netvsc.
    hyperkbd.sys, HyperVideo.sys and vpci.sys are warnings.

    ## Why it matters
    Windows does not start without the former, and has no network without netvsc.

    ## How to fix
    Repair the system's files (`sfc /scannow`), or install the integration services.

    ## Source
    - Azure Migrate, "Prepare for agentless migration"
    - Windows Server 2012 R2 calls the network driver's file netvsc63.sys.
    """
    present = {name.lower() for name in guest.tree.names(_DRIVERS)}
    if not present:
        return
    for name in (*_MUST_BE_THERE, *_SHOULD_BE_THERE):
        if name.lower() not in present:
            severity = None if name in _MUST_BE_THERE else WARNING
            yield file_hit(f"{_DRIVERS}/{name}", f"{name} is missing", severity=severity)
    if not any(name.startswith("netvsc") and name.endswith(".sys") for name in present):
        yield file_hit(f"{_DRIVERS}/netvsc.sys", "netvsc.sys is missing, under any of its names")
    for name in ("storflt", "netvsc"):
        service = guest.services.get(name)
        if service is None or not service.file:
            continue
        folder, _, file = service.file.rpartition("/")
        if folder.lower() == _DRIVERS.lower() and file.lower() not in present:
            message = f"the file of the driver {name}, {quoted(file)}, is missing"
            yield key_hit(service.key, message, "ImagePath")


@windows_rule("WIN416", "network-driver-disabled", ERROR)
def network_driver_disabled(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The driver netvsc is not disabled.

    ## Why it matters
    It is Azure's network adapter.

    ## How to fix
    Set Start to 3.

    ## Source
    - Azure Migrate, "Prepare for agentless migration"
    """
    service = guest.services.get("netvsc")
    if service is not None and service.start == Start.DISABLED:
        yield key_hit(service.key, "netvsc has Start 4 (disabled), expected 3 (manual)", "Start")


@windows_rule("WIN445", "foreign-boot-driver", WARNING)
def foreign_boot_driver(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    No driver of VMware, KVM, Xen or VirtualBox is started by itself (Start 0 to 2).

    ## Why it matters
    In Azure their hardware is missing. Most then do nothing; some stop the system.

    ## How to fix
    Uninstall the guest tools before the move, or set Start to 4.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    - libguestfs/virt-v2v removes the same
    """
    for name in _FOREIGN:
        service = guest.services.get(name.lower())
        if service is not None and service.start is not None and service.start <= Start.AUTOMATIC:
            message = f"{name} has Start {service.start}, expected 4 (disabled) or no such driver"
            yield key_hit(service.key, message, "Start")


@windows_rule("WIN446", "filter-without-driver", ERROR)
def filter_without_driver(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The filters of the classes of disks, volumes, SCSI and IDE controllers name drivers that exist:
    a service, and its file. Those of network adapters and CD-ROM drives are warnings.

    ## Why it matters
    Windows does not start a device whose filter it cannot load. For disks that is 0x7B.

    ## How to fix
    Remove the name from UpperFilters or LowerFilters.

    ## Source
    - Microsoft, "Advanced troubleshooting for Stop error 7B or Inaccessible_Boot_Device"
    """
    system = guest.system
    if system is None or not guest.services:
        return
    for guid, (devices, severity) in _CLASSES.items():
        path = rf"CurrentControlSet\Control\Class\{guid}"
        for name in ("UpperFilters", "LowerFilters"):
            value = system.value(path, name)
            for driver in (None if value is None else value.strings) or ():
                problem = _driver_problem(guest, driver) if driver else ""
                if problem:
                    message = f"{name} of {devices} has {quoted(driver)}, but {problem}"
                    yield value_hit(system, path, name, message, severity)


def _driver_problem(guest: WindowsGuest, name: str) -> str:
    service = guest.services.get(name.lower())
    if service is None:
        return "there is no such service"
    if service.file and guest.tree.names(_DRIVERS) and not guest.tree.exists(service.file):
        return f"its file {quoted(service.file)} is missing"
    return ""


@windows_rule("WIN447", "foreign-network-filter", INFO)
def foreign_network_filter(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Whether drivers that are none of Windows' own are in the group PNP_TDI.

    ## Why it matters
    They sit in the path of all traffic: firewalls and virus scanners that are made for another
    network may cut the machine off.

    ## How to fix
    Know that they are there when a machine has no network; remove what is not needed.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    - Drivers of Windows are known from sample hives.
    """
    for name, service in guest.services.items():
        group = (service.key.text("Group") or "").lower()
        if group == "pnp_tdi" and name not in _OF_WINDOWS and service.start != Start.DISABLED:
            message = f"{quoted(service.name)} is a network filter that is none of Windows' own"
            yield key_hit(service.key, message, "Group")


@windows_rule("WIN448", "nvme-not-ready", INFO, GEN2)
def nvme_not_ready(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Windows 10, Server 2019 and later: the driver stornvme starts with the system (Start 0) and has
    IoTimeoutValue 240.

    ## Why it matters
    New sizes of machines have their disks on NVMe only.

    ## How to fix
    Set Start of Services\\stornvme to 0, and IoTimeoutValue of its key Parameters to 240.

    ## Source
    - Azure, "Enable NVMe interface"
    """
    product, system = guest.product, guest.system
    service = guest.services.get("stornvme")
    least = SERVER_2019 if product.is_server else WINDOWS_10
    if service is None or system is None or (product.build or 0) < least:
        return
    if service.start != Start.BOOT:
        value = described(service.key.value("Start"))
        yield key_hit(service.key, f"Start of stornvme {value}, expected 0 (boot)", "Start")
    path = rf"{SERVICES}\stornvme\Parameters"
    timeout = system.value(path, "IoTimeoutValue")
    if timeout is None or timeout.number != _NVME_TIMEOUT:
        message = f"IoTimeoutValue {described(timeout)}, expected {_NVME_TIMEOUT}"
        yield value_hit(system, path, "IoTimeoutValue", message)
