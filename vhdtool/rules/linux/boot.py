"""Boot loaders: their configuration, and the files that it names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vhdtool.guest.linux.files import settings, uncommented
from vhdtool.guest.linux.grub import ENVIRONMENT_SIZE
from vhdtool.guest.linux.loaders import BLS_FOLDER, ESP_FOLDERS
from vhdtool.guest.linux.release import Family
from vhdtool.rules.linux.declare import ERROR, GEN2, INFO, WARNING, linux_rule
from vhdtool.rules.linux.hits import line_hit, listed, path_hit, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.linux.files import Setting
    from vhdtool.guest.linux.guest import LinuxGuest
    from vhdtool.rules.model import Hit

# What the firmware starts, and the machine in its header.
_FALLBACK = {"x86_64": ("BOOTX64.EFI", 0x8664), "aarch64": ("BOOTAA64.EFI", 0xAA64)}


@linux_rule("LNX313", "kernel-or-initramfs-missing", ERROR)
def kernel_or_initramfs_missing(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The kernel and the initial RAM disks that the default entry names are there and not empty.

    ## Why it matters
    The machine stops in the boot loader, or panics since it cannot mount its root.

    ## How to fix
    Reinstall the kernel, or make the initial RAM disk anew.

    ## Source
    - Azure, "Kernel-related boot issues"
    """
    boot = guest.boot
    if boot is None or boot.loader == "unified kernel":
        return
    named = boot.entry.kernel or ""
    if "$" in named:
        return
    if boot.kernel is None:
        yield line_hit(f"the kernel {quoted(named)} is not there", boot.entry.line)
    for name, path in boot.initrds:
        if path is None and "$" not in name:
            yield line_hit(f"the initial RAM disk {quoted(name)} is not there", boot.entry.line)
    for path in [boot.kernel, *(path for _, path in boot.initrds)]:
        if path is not None and guest.files.size(path) == 0:
            yield path_hit("the file is empty", path)


@linux_rule("LNX314", "modules-missing", ERROR)
def modules_missing(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The kernel that starts by default has a folder of modules with modules.dep.

    ## Why it matters
    No driver but those in the kernel and the initial RAM disk can be loaded: no network, no vfat.

    ## How to fix
    Reinstall the kernel's packages, or run `depmod -a VERSION`.

    ## Source
    - Azure, "Kernel-related boot issues"; depmod(8)
    """
    boot = guest.boot
    version = None if boot is None else boot.kernel_version
    if boot is None or version is None:
        return
    kernel = guest.kernel
    if kernel is None:
        folder = f"/lib/modules/{version}"
        yield path_hit(f"kernel {quoted(version)} starts by default, and has no modules", folder)
    elif not guest.files.exists(f"{kernel.folder}/modules.dep"):
        yield path_hit("modules.dep is missing", f"{kernel.folder}/modules.dep")


@linux_rule("LNX315", "old-kernel", WARNING)
def old_kernel(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The kernel that starts by default is 3.8 or later, or Red Hat's of release 6.4 (2.6.32-358) or
    later.

    ## Why it matters
    Older ones lack Hyper-V's drivers, or have faulty ones.

    ## How to fix
    Use a later release of the distribution.

    ## Source
    - Azure, "Prepare Linux for imaging" and "Linux Integration Services"
    """
    kernel = guest.kernel
    if kernel is None or not kernel.numbers or kernel.numbers >= (3, 8):
        return
    patched = re.match(r"2\.6\.32-(\d+)\..*el6", kernel.version)
    if patched and int(patched.group(1)) >= 358:
        return
    yield path_hit(f"the kernel is {kernel.version}, expected 3.8 or later", kernel.folder)


@linux_rule("LNX330", "grub-without-serial-console", INFO)
def grub_without_serial_console(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    /etc/default/grub sends GRUB's menu to the serial console, and shows it for a while.

    ## Why it matters
    One can choose another kernel in the portal's serial console then.

    ## How to fix
    `GRUB_TERMINAL="serial console"`, `GRUB_SERIAL_COMMAND="serial --speed=115200 --unit=0 --word=8
    --parity=no --stop=1"`, `GRUB_TIMEOUT=10`; and make grub.cfg anew.

    ## Source
    - Azure, "Prepare Linux for imaging"; "Serial console for Linux, GRUB"
    """
    if guest.grub is None or not guest.files.exists("/etc/default/grub"):
        return
    values: dict[str, Setting] = {}
    for path in ("/etc/default/grub", *guest.files.paths("/etc/default/grub.d", "*.cfg")):
        values |= settings(guest.files.lines(path))
    outputs = [values[key] for key in ("GRUB_TERMINAL", "GRUB_TERMINAL_OUTPUT") if key in values]
    if not any("serial" in one.value for one in outputs):
        line = outputs[0].line if outputs else None
        message = "GRUB's menu does not go to the serial console"
        yield path_hit(message, "/etc/default/grub") if line is None else line_hit(message, line)
    timeout = values.get("GRUB_TIMEOUT")
    if timeout is not None and timeout.value == "0":
        yield line_hit("GRUB shows its menu for 0 seconds, expected 10", timeout.line)


@linux_rule("LNX331", "boot-entries-incomplete", WARNING)
def boot_entries_incomplete(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Where GRUB takes its entries from /boot/loader/entries, there are some; and an entry whose
    options are $kernelopts finds that in grubenv or grub.cfg.

    ## Why it matters
    The menu is empty, or the kernel is not told its root.

    ## How to fix
    `grub2-mkconfig -o /boot/grub2/grub.cfg`, or `grubby --update-kernel=ALL --args=...`.

    ## Source
    - Azure, "Prepare a Red Hat-based virtual machine"; The Boot Loader Specification
    """
    config = guest.grub
    if config is None or not config.uses_bls or not guest.is_of(Family.REDHAT):
        return
    paths = guest.files.paths(BLS_FOLDER, "*.conf")
    if not paths:
        yield path_hit("GRUB takes its entries from here, and there are none", BLS_FOLDER)
        return
    parameters = guest.command_line
    if parameters is not None and not parameters.values("root"):
        yield line_hit("the default entry does not tell the kernel its root", parameters.line)


@linux_rule("LNX332", "grub-files-damaged", ERROR)
def grub_files_damaged(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Where GRUB is installed to /boot, it has a grub.cfg that is not empty; and grubenv is 1024 bytes
    that start with `# GRUB Environment Block`.

    ## Why it matters
    GRUB stops at its prompt. A grubenv of another size it cannot write, and may not read.

    ## How to fix
    `grub2-mkconfig -o /boot/grub2/grub.cfg`; `grub2-editenv - create`.

    ## Source
    - Azure, "Linux VM UEFI boot failures"; GRUB manual, environment block
    """
    files = guest.files
    for folder in ("/boot/grub2", "/boot/grub"):
        modules = files.glob(f"{folder}/*/normal.mod")
        if not modules:
            continue
        path = f"{folder}/grub.cfg"
        if not files.exists(path) and not files.is_link(path):
            yield path_hit("GRUB is installed, and has no grub.cfg", path)
        elif files.exists(path) and files.size(path) == 0:
            yield path_hit("grub.cfg is empty", path)
    block = guest.grub_environment
    if block is None:
        return
    path, data = block
    if len(data) != ENVIRONMENT_SIZE or not data.startswith(b"# GRUB Environment Block\n"):
        yield path_hit(
            f"grubenv has {len(data)} bytes, expected {ENVIRONMENT_SIZE} with GRUB's first line",
            path,
            None,
            data,
        )


@linux_rule("LNX333", "grub-stub-points-nowhere", ERROR, GEN2)
def grub_stub_points_nowhere(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The grub.cfg in the EFI system partition searches for a UUID that the disk has.

    ## Why it matters
    GRUB stops at its prompt.

    ## How to fix
    Write the UUID of the file system with /boot, or reinstall GRUB.

    ## Source
    - Azure, "Linux VM UEFI boot failures"
    """
    for folder in ESP_FOLDERS:
        for path in guest.files.glob(f"{folder}/EFI/*/grub.cfg"):
            for line in uncommented(guest.files.lines(path)):
                found = re.search(
                    r"(?:search\.fs_uuid|search\s.*--fs-uuid)\s+.*?([0-9A-Fa-f]{4,8}-[0-9A-Fa-f-]{4,30})",
                    line.text,
                )
                if found and guest.has_device("UUID", found.group(1)) is False:
                    yield line_hit(
                        f"GRUB searches for {quoted(found.group(1))}, which the disk does not have",
                        line,
                    )


@linux_rule("LNX399", "merged-links-missing", WARNING)
def merged_links_missing(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    /bin, /sbin and /lib are there, as folders or as links into /usr.

    ## Why it matters
    Without them nothing starts, since programs name their interpreter by such a path.

    ## How to fix
    `ln -s usr/bin /bin`, and the like.

    ## Source
    - file-hierarchy(7); the loader that programs name is /lib64/ld-linux-x86-64.so.2
    """
    files = guest.files
    missing = [path for path in ("/bin", "/sbin", "/lib") if not files.exists(path)]
    x86 = guest.architecture is not None and guest.architecture.machine == "x86_64"
    glibc = files.glob("/usr/lib64/ld-linux-x86-64.so.2")
    if x86 and glibc and not files.exists("/lib64"):
        missing.append("/lib64")
    if missing and files.exists("/usr/bin"):
        yield path_hit(f"{listed(missing)} is missing, expected a link into /usr", missing[0])


@linux_rule("DSK105", "no-fallback-loader", ERROR, GEN2)
def no_fallback_loader(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Where the EFI system partition of a Linux guest can be read, it has EFI/BOOT/BOOTX64.EFI, on
    Arm64 BOOTAA64.EFI: a program for that machine.

    ## Why it matters
    A new machine in Azure has no boot entries, so that the firmware starts this file and no other.

    ## How to fix
    Copy the distribution's shim there, or `grub-install --removable`.

    ## Source
    - Azure, "Prepare an Ubuntu virtual machine"; UEFI specification, 3.5.1.1 removable media
    """
    folder = esp_folder(guest)
    program = guest.architecture
    if folder is None or program is None or program.machine not in _FALLBACK:
        return
    name, machine = _FALLBACK[program.machine]
    path = f"{folder}/EFI/BOOT/{name}"
    head = guest.files.tree.read(path, 4096)
    if head is None:
        yield path_hit(f"the EFI system partition has no EFI/BOOT/{name}", path)
    elif pe_machine(head) != machine:
        yield path_hit(f"the file is no program for {program.machine}", path, None, head[:64])


def esp_folder(guest: LinuxGuest) -> str | None:
    """Return where the EFI system partition is mounted, if its files are there."""
    for folder in ESP_FOLDERS:
        if guest.files.tree.is_folder(f"{folder}/EFI"):
            return folder
    return None


def pe_machine(head: bytes) -> int | None:
    """Return the machine of a program for UEFI by its first bytes; None of another file."""
    if head[:2] != b"MZ" or len(head) < 64:
        return None
    start = int.from_bytes(head[60:64], "little")
    if head[start : start + 4] != b"PE\0\0":
        return None
    return int.from_bytes(head[start + 4 : start + 6], "little")


# In all versions of shim, and in no GRUB: that has words of its own for what shim offers.
_SHIM = b"UEFI SHIM"


@linux_rule("DSK106", "fallback-loader-alone", WARNING, GEN2)
def fallback_loader_alone(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Where EFI/BOOT/BOOTX64.EFI is shim, GRUB is beside it, or fbx64.efi with a list (BOOTX64.CSV) in
    the distribution's folder.

    ## Why it matters
    shim starts what is beside it, and nothing else.

    ## How to fix
    Copy grubx64.efi and grub.cfg beside it.

    ## Source
    - Azure, "Prepare an Ubuntu virtual machine"; rhboot/shim, README.fallback
    """
    folder = esp_folder(guest)
    if folder is None:
        return
    files = guest.files
    for suffix in ("x64", "aa64"):
        path = f"{folder}/EFI/BOOT/BOOT{suffix.upper()}.EFI"
        data = files.tree.read(path, 4 << 20)
        if data is None or _SHIM not in data:
            continue
        beside = any(files.exists(f"{folder}/EFI/BOOT/{name}") for name in
                     (f"grub{suffix}.efi", f"GRUB{suffix.upper()}.EFI"))  # fmt: skip
        fallback = files.exists(f"{folder}/EFI/BOOT/fb{suffix}.efi")
        lists = files.glob(f"{folder}/EFI/*/BOOT{suffix.upper()}.CSV")
        if not beside and not (fallback and lists):
            yield path_hit(f"shim has neither grub{suffix}.efi nor fb{suffix}.efi beside it", path)
