"""Clock, power, environment, dumps and page file: settings that Azure's guide asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.guest.windows.product import ENVIRONMENT
from vhdtool.guest.windows.services import SERVICES, Start
from vhdtool.rules.windows.declare import INFO, WARNING, windows_rule
from vhdtool.rules.windows.hits import described, expect_number, quoted, value_hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.windows.guest import WindowsGuest
    from vhdtool.rules.model import Hit

TIME_ZONE = r"CurrentControlSet\Control\TimeZoneInformation"
_POWER = r"CurrentControlSet\Control\Power\User\PowerSchemes"
_HIGH_PERFORMANCE = "8c5e7fda-e8bf-4a96-9a85-a6e23a8c635c"
_CRASH = r"CurrentControlSet\Control\CrashControl"
_DUMPS = r"Microsoft\Windows\Windows Error Reporting\LocalDumps"
_MEMORY = r"CurrentControlSet\Control\Session Manager\Memory Management"
_TEMP = ("%systemroot%\\temp", "%windir%\\temp", "c:\\windows\\temp")


@windows_rule("WIN401", "clock-is-local-time", WARNING)
def clock_is_local_time(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    RealTimeIsUniversal is 1: the machine's clock is read as UTC.

    ## Why it matters
    Azure's hosts give machines a clock in UTC. Windows that takes it for local time is wrong by its
    time zone until the first synchronization, which breaks log-ons and certificates.

    ## How to fix
    Set RealTimeIsUniversal (REG_DWORD) to 1 in Control\\TimeZoneInformation.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    """
    yield from expect_number(guest.system, TIME_ZONE, "RealTimeIsUniversal", 1, required=True)


@windows_rule("WIN402", "time-service-not-automatic", WARNING)
def time_service_not_automatic(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The service Windows Time (w32time) starts automatically (Start 2).

    ## Why it matters
    Outside a domain it is started by events only, and the clock may drift meanwhile.

    ## How to fix
    Set its Start to 2.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    - 3 is what clients are installed with.
    """
    yield from expect_number(guest.system, rf"{SERVICES}\w32time", "Start", Start.AUTOMATIC)


@windows_rule("WIN404", "power-plan-not-high-performance", INFO)
def power_plan_not_high_performance(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The active power plan is High performance.

    ## Why it matters
    Others may let the machine sleep or slow it down. Azure does not wake machines.

    ## How to fix
    Run `powercfg /setactive SCHEME_MIN`.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    """
    system = guest.system
    value = None if system is None else system.value(_POWER, "ActivePowerScheme")
    text = None if value is None else value.text
    if system is not None and text and text.strip("{}").lower() != _HIGH_PERFORMANCE:
        message = f"ActivePowerScheme {described(value)}, expected {_HIGH_PERFORMANCE}"
        yield value_hit(system, _POWER, "ActivePowerScheme", message)


@windows_rule("WIN405", "temp-not-default", WARNING)
def temp_not_default(guest: WindowsGuest) -> Iterator[Hit]:
    r"""
    ## What it checks
    The system's TEMP and TMP are %SystemRoot%\TEMP.

    ## Why it matters
    Extensions and Setup write there. A folder on another volume is missing in a new machine.

    ## How to fix
    Set both to %SystemRoot%\TEMP (REG_EXPAND_SZ).

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    """
    system = guest.system
    for name in ("TEMP", "TMP"):
        value = None if system is None else system.value(ENVIRONMENT, name)
        if system is not None and value is not None and (value.text or "").lower() not in _TEMP:
            message = rf"{name} {described(value)}, expected %SystemRoot%\TEMP"
            yield value_hit(system, ENVIRONMENT, name, message)


@windows_rule("WIN435", "crash-dump-settings", INFO)
def crash_dump_settings(guest: WindowsGuest) -> Iterator[Hit]:
    r"""
    ## What it checks
    Crashes write a kernel dump (CrashDumpEnabled 2, or 1 complete, 7 automatic) to
    %SystemRoot%\MEMORY.DMP, and NMICrashDump is 1.

    ## Why it matters
    Without a dump nobody can tell why a machine stopped. Azure can send an NMI to make one.

    ## How to fix
    Set the values in Control\CrashControl.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure" asks for 2
    - Azure/repair-script-library, win-dumpconfigurator.ps1 sets 1
    """
    system = guest.system
    if system is None or system.key(_CRASH) is None:
        return
    yield from expect_number(system, _CRASH, "CrashDumpEnabled", (2, 1, 7), required=True)
    yield from expect_number(system, _CRASH, "NMICrashDump", 1, required=True)
    file = system.value(_CRASH, "DumpFile")
    if file is not None and (file.text or "").lower() != r"%systemroot%\memory.dmp":
        message = rf"DumpFile {described(file)}, expected %SystemRoot%\MEMORY.DMP"
        yield value_hit(system, _CRASH, "DumpFile", message)


@windows_rule("WIN436", "no-dumps-of-programs", INFO)
def no_dumps_of_programs(guest: WindowsGuest) -> Iterator[Hit]:
    r"""
    ## What it checks
    Windows Error Reporting keeps dumps of programs that crash: LocalDumps with a DumpFolder.

    ## Why it matters
    Without them a crash of a service is only a line in a log.

    ## How to fix
    Set DumpFolder (C:\CrashDumps), DumpType (2) and DumpCount (10).

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure", which writes CrashCount where
    Microsoft's "Collecting User-Mode Dumps" has DumpCount: the latter is meant
    """
    software = guest.software
    if software is not None and not software.text(_DUMPS, "DumpFolder"):
        yield value_hit(software, _DUMPS, "DumpFolder", "DumpFolder is not set, expected a folder")


@windows_rule("WIN437", "page-file-on-d", WARNING)
def page_file_on_d(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The page file is not on drive D:.

    ## Why it matters
    D: is Azure's temporary disk only once the machine runs there, and not all sizes have one. Until
    then D: is another volume or a DVD drive.

    ## How to fix
    Let Windows choose, or set C:. Azure's agent moves it after the deployment.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    - A machine that is captured in Azure rightly has it there, hence a warning.
    """
    system = guest.system
    value = None if system is None else system.value(_MEMORY, "PagingFiles")
    for text in () if value is None else value.strings or ():
        if system is not None and text.lower().startswith("d:"):
            message = f'PagingFiles has "{quoted(text)}", expected another drive than D:'
            yield value_hit(system, _MEMORY, "PagingFiles", message)
