"""The volume with Windows, its hibernation, and the files that start it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.guest.windows.boot import UEFI_STORE
from vhdtool.rules.windows.declare import ERROR, GEN2, WARNING, windows_rule
from vhdtool.rules.windows.hits import file_hit
from vhdtool.units import GIB, human_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.windows.guest import WindowsGuest
    from vhdtool.rules.model import Hit

_HIBERNATION = "/hiberfil.sys"
# The first bytes of a hibernated system, and of one that is being taken up again; in either case.
_RESUMABLE = (b"hibr", b"rstr")
_BOOT_MANAGER = "/EFI/Microsoft/Boot/bootmgfw.efi"


@windows_rule("DSK126", "ntfs-to-be-checked", WARNING)
def ntfs_to_be_checked(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The volume with Windows is not marked to be checked (the dirty flag of $Volume).

    ## Why it matters
    Windows runs chkdsk at its next start: with luck that takes minutes, while Azure waits.

    ## How to fix
    Start Windows, run `chkdsk C: /f`, and shut it down.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    - Azure/repair-script-library, win-chkdsk-fs-corruption.ps1
    """
    if guest.tree.root.volume.dirty:
        yield file_hit("/$Volume", "the volume is marked to be checked at the next start")


@windows_rule("DSK127", "ntfs-log-not-clean", WARNING)
def ntfs_log_not_clean(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The log of the volume with Windows ($LogFile) says that it was dismounted in order.

    ## Why it matters
    Windows was not shut down. Its last changes are in the log only, and so not in this report.

    ## How to fix
    Start Windows and shut it down.

    ## Source
    - Linux-NTFS project's documentation of $LogFile: restart areas
    """
    if guest.tree.root.volume.log_clean is False:
        yield file_hit("/$LogFile", "the volume was not dismounted in order")


@windows_rule("DSK128", "hibernated-windows", WARNING)
def hibernated_windows(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    hiberfil.sys holds no system to go on with: it does not begin with `hibr` or `rstr`.

    ## Why it matters
    Windows goes on from memory that belongs to another machine, or drops it with what was not
    written. Fast startup hibernates too.

    ## How to fix
    Start Windows, run `powercfg /h off`, and shut it down with `shutdown /s /t 0`.

    ## Source
    - ntfs-3g and libyal/libfshibr (documentation) name the beginnings
    - `wake` is what is left after a system was taken up again.
    """
    data = guest.tree.read(_HIBERNATION, 4) or b""
    if data.lower() in _RESUMABLE:
        name = data.decode("ascii")
        yield file_hit(_HIBERNATION, f"Windows is hibernated: it begins with {name}", text=name)


@windows_rule("DSK132", "windows-volume-nearly-full", WARNING)
def windows_volume_nearly_full(guest: WindowsGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The volume with Windows has at least 5 % and 1 GiB free.

    ## Why it matters
    The first start, updates and the agent need room; a full volume keeps people from logging on.

    ## How to fix
    Remove what is not needed (`cleanmgr`, `DISM /StartComponentCleanup`), or enlarge the volume.

    ## Source
    - The thresholds are ours: no page of Azure's names one.
    """
    volume = guest.tree.root.volume
    if volume.free is None or volume.size <= 0:
        return
    least = max(volume.size // 20, GIB)
    if volume.free < least:
        message = f"{human_size(volume.free)} are free, expected at least {human_size(least)}"
        yield file_hit("/", message)


@windows_rule("DSK141", "no-windows-boot-files-for-uefi", ERROR, GEN2)
def no_windows_boot_files_for_uefi(guest: WindowsGuest) -> Iterator[Hit]:
    r"""
    ## What it checks
    A volume of the disk has \EFI\Microsoft\Boot\bootmgfw.efi and the BCD beside it. Only where the
    disk has other volumes that can be read.

    ## Why it matters
    A generation 2 machine starts from there.

    ## How to fix
    Run `bcdboot C:\Windows /s S: /f UEFI` for the EFI system partition.

    ## Source
    - Azure/repair-script-library; Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    """
    trees = list(guest.system_volumes.values())
    if not trees:
        return
    for path in (_BOOT_MANAGER, UEFI_STORE):
        if not any(tree.is_file(path) for tree in trees):
            yield file_hit(path, f"{path.rpartition('/')[2]} is missing, on every volume")
