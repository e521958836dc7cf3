"""Boot configuration data: where Windows is, and what happens when it does not start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.guest.windows import boot
from vhdtool.rules.windows.declare import ERROR, GEN1, GEN2, INFO, WARNING, windows_rule
from vhdtool.rules.windows.hits import element_hit, file_hit, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.windows.boot import BootObject
    from vhdtool.guest.windows.guest import WindowsGuest
    from vhdtool.rules.model import Hit

_MENU_SECONDS = 5
_MANAGER = (
    (boot.DISPLAY_BOOT_MENU, "displaybootmenu", 1),
    (boot.TIMEOUT, "timeout", _MENU_SECONDS),
    (boot.BOOT_EMS, "bootems", 1),
)
_LOADER = (
    (boot.RECOVERY_ENABLED, "recoveryenabled", 0),
    (boot.BOOT_STATUS_POLICY, "bootstatuspolicy", 1),
    (boot.KERNEL_EMS, "ems", 1),
)
_PORT = ((boot.EMS_PORT, "emsport", 1), (boot.EMS_BAUD, "emsbaudrate", 115200))


def _differences(
    found: BootObject | None, wanted: tuple[tuple[int, str, int], ...]
) -> Iterator[Hit]:
    """Hit an object once, for all numbers that are not what Azure's guide sets."""
    if found is None:
        return
    wrong = []
    for element, name, number in wanted:
        actual = found.number(element)
        if actual != number:
            shown = "not set" if actual is None else actual
            wrong.append((element, f"{name} is {shown}, expected {number}"))
    if wrong:
        yield element_hit(found, wrong[0][0], "; ".join(text for _, text in wrong))


@windows_rule("WIN429", "boot-menu-hidden", WARNING)
def boot_menu_hidden(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The boot manager shows its menu for 5 seconds and on the serial port: displaybootmenu 1,
    timeout 5, bootems 1.

    ## Why it matters
    Azure's serial console can choose another start only while the menu is there.

    ## How to fix
    Run `bcdedit /set {bootmgr} displaybootmenu yes`, and likewise timeout 5 and bootems yes.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    - Azure/repair-script-library, win-sac-enabler.ps1
    - integrityservices, also on the list, is not judged: which element it is could not be verified.
    """
    for store in guest.boot_stores:
        yield from _differences(store.manager, _MANAGER)


@windows_rule("WIN430", "start-failures-not-ignored", WARNING)
def start_failures_not_ignored(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The default loader starts again after a failure instead of waiting in the recovery environment
    (recoveryenabled 0, bootstatuspolicy 1) and offers the emergency console (ems 1) on port 1 with
    115200 baud.

    ## Why it matters
    Nobody sits at the screen to leave the recovery environment.

    ## How to fix
    Run `bcdedit /set {default} recoveryenabled no`, `bootstatuspolicy IgnoreAllFailures`,
    `bcdedit /ems {default} on` and `bcdedit /emssettings EMSPORT:1 EMSBAUDRATE:115200`.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    - Azure/repair-script-library, win-ignoreAllFailures.ps1 and win-sac-enabler.ps1
    """
    for store in guest.boot_stores:
        yield from _differences(store.default, _LOADER)
        yield from _differences(store.object(boot.EMS_SETTINGS), _PORT)


@windows_rule("WIN431", "boot-device-unknown", ERROR)
def boot_device_unknown(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The default loader's device and osdevice name partitions of this disk, or are found at the start
    (`boot`, `locate`). Only where the disk's partitions are known.

    ## Why it matters
    Windows does not start: 0xc000000e or 0xc0000225.

    ## How to fix
    Run `bcdboot` for the Windows folder, or set the elements with bcdedit.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    - The layout of the elements is that of a sample store.
    """
    known = guest.partitions
    if known is None:
        return
    for store in guest.boot_stores:
        loader = store.default
        for element, name in ((boot.DEVICE, "device"), (boot.OS_DEVICE, "osdevice")):
            device = None if loader is None else boot.device_partition(loader.raw(element))
            if loader is None or device is None or device in known:
                continue
            kind = "GPT" if device.is_gpt else "MBR"
            message = (
                f"{name} names partition {device.partition.hex()} of the {kind} disk "
                f"{device.disk.hex()}, expected a partition of this disk"
            )
            yield element_hit(loader, element, message)


@windows_rule("WIN432", "no-boot-store", ERROR, GEN1, GEN2)
def no_boot_store(guest: WindowsGuest) -> Iterator[Hit]:
    r"""
    ## What it checks
    A store of boot data is there: \EFI\Microsoft\Boot\BCD for UEFI or \Boot\BCD for BIOS, with
    \bootmgr; and its default loader is winload.efi or winload.exe accordingly. Only where the
    disk's system volume can be read.

    ## Why it matters
    Without it the boot manager stops. UEFI cannot start winload.exe, nor BIOS winload.efi.

    ## How to fix
    Run `bcdboot C:\Windows /f ALL`.

    ## Source
    - Azure/repair-script-library; Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    """
    if not guest.boot_stores and (guest.system_volumes or guest.tree.is_file("/bootmgr")):
        yield file_hit(boot.UEFI_STORE, f"no boot data, neither here nor in {boot.BIOS_STORE}")
    volumes = {"": guest.tree, **guest.system_volumes}
    for store in guest.boot_stores:
        if not store.is_uefi and not volumes[store.volume].is_file(boot.BIOS_MANAGER):
            yield file_hit(boot.BIOS_MANAGER, "bootmgr is missing beside the boot data for BIOS")
        loader = store.default
        path = None if loader is None else loader.text(boot.APPLICATION_PATH)
        if loader is None or path is None or "winload" not in path.lower():
            continue
        wanted = "winload.efi" if store.is_uefi else "winload.exe"
        if not path.lower().endswith(wanted):
            message = f'the default loader is "{quoted(path)}", expected {wanted}'
            yield element_hit(loader, boot.APPLICATION_PATH, message)


@windows_rule("WIN433", "safe-mode", ERROR)
def safe_mode(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The default loader does not start safe mode (element safeboot).

    ## Why it matters
    Safe mode has no remote desktop, and no network unless asked for.

    ## How to fix
    Run `bcdedit /deletevalue {default} safeboot`.

    ## Source
    - Azure/repair-script-library, win-toggle-safe-mode.ps1
    """
    for store in guest.boot_stores:
        loader = store.default
        number = None if loader is None else loader.number(boot.SAFE_BOOT)
        if loader is not None and number is not None:
            kind = {0: "minimal", 1: "network", 2: "directory repair"}.get(number, str(number))
            message = f"safeboot is {kind}, expected no such element"
            yield element_hit(loader, boot.SAFE_BOOT, message)


@windows_rule("WIN434", "unsigned-drivers-allowed", WARNING)
def unsigned_drivers_allowed(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Neither testsigning nor nointegritychecks is on for the default loader. That the kernel debugger
    is on is only told.

    ## Why it matters
    Secure Boot, and so Trusted Launch, does not start such a Windows.

    ## How to fix
    Run `bcdedit /set {default} testsigning off` and `nointegritychecks off`.

    ## Source
    - Azure, "Trusted Launch for Azure virtual machines"
    - Names and numbers of the elements agree in several public headers.
    """
    for store in guest.boot_stores:
        loader = store.default
        for element, name, severity in (
            (boot.TEST_SIGNING, "testsigning", None),
            (boot.NO_INTEGRITY_CHECKS, "nointegritychecks", None),
            (boot.DEBUG_KERNEL, "debug", INFO),
        ):
            if loader is not None and loader.number(element):
                yield element_hit(loader, element, f"{name} is on, expected off", severity)
