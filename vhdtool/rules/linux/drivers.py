"""Drivers: what the kernel needs to find its disk and its network in Azure."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from vhdtool.guest.linux.cloudinit import PACKAGES as _CLOUD_INIT
from vhdtool.guest.linux.files import settings, uncommented
from vhdtool.guest.linux.kernels import Presence
from vhdtool.guest.linux.packages import compare_versions
from vhdtool.guest.linux.release import Family
from vhdtool.rules.linux.declare import ERROR, GEN2, GENERALIZED, INFO, WARNING, linux_rule
from vhdtool.rules.linux.hits import line_hit, listed, path_hit, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.linux.guest import LinuxGuest
    from vhdtool.rules.model import Hit

_HYPER_V = ("hv_vmbus", "hv_storvsc", "hv_netvsc", "hv_utils")


def _early(guest: LinuxGuest, module: str, option: str, why: str) -> Iterator[Hit]:
    """Hit a driver that is neither in the kernel nor in the initial RAM disk."""
    kernel = guest.kernel
    if kernel is None:
        return
    where = kernel.presence(module, option)
    if where is Presence.BUILT_IN or where is None:
        return
    if where is Presence.MISSING:
        yield path_hit(f"{module} is missing from kernel {kernel.version}, {why}", kernel.folder)
        return
    held = guest.initramfs
    if held is None:
        if guest.boot is not None:
            message = f"{module} is a module, and the kernel starts without an initial RAM disk"
            yield line_hit(message, guest.boot.entry.line)
    elif module not in held[1]:
        yield path_hit(f"{module} is not in the initial RAM disk, {why}", held[0])


@linux_rule("LNX301", "no-vmbus-driver-at-boot", ERROR)
def no_vmbus_driver_at_boot(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    hv_vmbus is built into the kernel that starts by default, or in its initial RAM disk.

    ## Why it matters
    Without Hyper-V's bus the kernel sees neither disk nor network.

    ## How to fix
    `dracut -f --add-drivers "hv_vmbus hv_storvsc hv_netvsc"`, or add the names to
    /etc/initramfs-tools/modules and `update-initramfs -u`.

    ## Source
    - Azure, "Prepare Linux for imaging"; microsoft/lisa, hv_module.py
    """
    yield from _early(guest, "hv_vmbus", "CONFIG_HYPERV", "without which no device is found")


@linux_rule("LNX302", "no-storage-driver-at-boot", ERROR)
def no_storage_driver_at_boot(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    hv_storvsc is built into the kernel that starts by default, or in its initial RAM disk.

    ## Why it matters
    The root file system is not found, and the machine stops in the initial RAM disk.

    ## How to fix
    See LNX301.

    ## Source
    - Azure, "Prepare Linux for imaging"; microsoft/lisa, hv_module.py
    """
    yield from _early(
        guest, "hv_storvsc", "CONFIG_HYPERV_STORAGE", "without which no disk is found"
    )


@linux_rule("LNX303", "no-network-driver", ERROR)
def no_network_driver(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The kernel that starts by default has hv_netvsc, built in or as a module. It need not be in the
    initial RAM disk.

    ## Why it matters
    The machine has no network.

    ## How to fix
    Install a kernel with it: in Debian and Ubuntu the cloud or azure kernel, in Red Hat's family
    kernel-modules.

    ## Source
    - Azure, "Prepare Linux for imaging"; microsoft/lisa, hv_module.py
    """
    yield from _anywhere(guest, {"hv_netvsc": "CONFIG_HYPERV_NET"})


def _anywhere(guest: LinuxGuest, modules: dict[str, str]) -> Iterator[Hit]:
    """Hit the modules that the kernel has neither built in nor beside it."""
    kernel = guest.kernel
    if kernel is None:
        return
    missing = [
        module
        for module, option in modules.items()
        if kernel.presence(module, option) is Presence.MISSING
    ]
    if missing:
        yield path_hit(f"kernel {kernel.version} has no {listed(missing)}", kernel.folder)


@linux_rule("LNX304", "no-hyper-v-utilities", WARNING)
def no_hyper_v_utilities(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The kernel has hv_utils.

    ## Why it matters
    Shutting down from outside, the clock, and reports to the host need it.

    ## How to fix
    See LNX303.

    ## Source
    - microsoft/lisa, hv_module.py; Azure, "Prepare Linux for imaging"
    """
    yield from _anywhere(guest, {"hv_utils": "CONFIG_HYPERV_UTILS"})


@linux_rule("LNX305", "no-balloon-or-keyboard-driver", INFO)
def no_balloon_or_keyboard_driver(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The kernel has hv_balloon and hyperv_keyboard.

    ## Why it matters
    Little: Azure's machines have fixed memory, and no keyboard but on the console.

    ## How to fix
    See LNX303.

    ## Source
    - microsoft/lisa, hv_module.py, which does not ask for hid_hyperv in Azure
    """
    options = {"hv_balloon": "CONFIG_HYPERV_BALLOON", "hyperv_keyboard": "CONFIG_HYPERV_KEYBOARD"}
    yield from _anywhere(guest, options)


@linux_rule("LNX306", "no-hyper-v-display", INFO)
def no_hyper_v_display(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The kernel has hyperv_fb or hyperv_drm.

    ## Why it matters
    The screenshot of boot diagnostics may stay empty. The serial log does not depend on it.

    ## How to fix
    See LNX303.

    ## Source
    - microsoft/lisa, hv_module.py
    """
    kernel = guest.kernel
    if kernel is None:
        return
    found = [
        kernel.presence("hyperv_fb", "CONFIG_FB_HYPERV"),
        kernel.presence("hyperv_drm", "CONFIG_DRM_HYPERV"),
    ]
    if all(one is Presence.MISSING for one in found):
        message = f"kernel {kernel.version} has neither hyperv_fb nor hyperv_drm"
        yield path_hit(message, kernel.folder)


def _loadable(guest: LinuxGuest, module: str, option: str) -> Iterator[Hit]:
    """Hit a driver that the kernel has not, or that modprobe may not load."""
    kernel = guest.kernel
    where = None if kernel is None else kernel.presence(module, option)
    if kernel is not None and where is Presence.MISSING:
        yield path_hit(f"kernel {kernel.version} has no {module}", kernel.folder)
    elif where is not Presence.BUILT_IN:
        line = guest.modprobe.forbids(module)
        if line is not None:
            yield line_hit(f"{module} may not be loaded: {quoted(line.text.strip())}", line)


@linux_rule("LNX307", "no-vfat", ERROR)
def no_vfat(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The kernel has vfat, and modprobe may load it.

    ## Why it matters
    The EFI system partition cannot be mounted, and the machine stops in emergency mode. Hardening
    guides forbid vfat for machines without UEFI.

    ## How to fix
    Remove the line from /etc/modprobe.d.

    ## Source
    - Azure, "Prepare Linux for imaging"
    """
    yield from _loadable(guest, "vfat", "CONFIG_VFAT_FS")


@linux_rule("LNX308", "no-udf", ERROR, GENERALIZED)
def no_udf(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The kernel has udf, and modprobe may load it. With cloud-init 21.2 or later this is a warning:
    it needs the disc for passwords and custom data only.

    ## Why it matters
    Azure hands the user and the password to a new machine on a disc with UDF.

    ## How to fix
    Remove the line from /etc/modprobe.d; install the package with the module (kernel-modules,
    linux-modules).

    ## Source
    - Azure, "Prepare Linux for imaging", with the exception for cloud-init
    - Azure/WALinuxAgent, azurelinuxagent/common/osutil/default.py, mount_dvd
    """
    version = guest.cloud_init_version
    if version is None and guest.packages is not None:
        version = guest.packages.version(*_CLOUD_INIT)
    recent = version is not None and compare_versions(version, "21.2") >= 0
    for hit in _loadable(guest, "udf", "CONFIG_UDF_FS"):
        if recent and guest.cloud_init_program is not None:
            yield replace(hit, severity=WARNING)
        else:
            yield hit


@linux_rule("LNX309", "no-optical-drive", WARNING, GENERALIZED)
def no_optical_drive(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The kernel has sr_mod and iso9660, and modprobe may load them.

    ## Why it matters
    What Azure hands to a new machine comes on a disc in an optical drive.

    ## How to fix
    Remove the lines from /etc/modprobe.d.

    ## Source
    - Azure/WALinuxAgent, azurelinuxagent/common/osutil/default.py: /dev/sr0 and udf, iso9660, vfat
    """
    yield from _loadable(guest, "sr_mod", "CONFIG_BLK_DEV_SR")
    yield from _loadable(guest, "isofs", "CONFIG_ISO9660_FS")


@linux_rule("LNX310", "hyper-v-drivers-forbidden", ERROR)
def hyper_v_drivers_forbidden(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Neither modprobe.d nor the kernel's command line forbids hv_vmbus, hv_storvsc, hv_netvsc or
    hv_utils.

    ## Why it matters
    The machine finds no disk or has no network.

    ## How to fix
    Remove the lines, and rebuild the initial RAM disk, which has a copy.

    ## Source
    - Azure, "Linux on Hyper-V: drivers are disabled" (linux-hyperv-issue)
    """
    for module in _HYPER_V:
        line = guest.modprobe.forbids(module)
        if line is not None:
            yield line_hit(f"{module} may not be loaded: {quoted(line.text.strip())}", line)
    parameters = guest.command_line
    if parameters is None:
        return
    for name in ("module_blacklist", "modprobe.blacklist", "rd.driver.blacklist"):
        named = ",".join(parameters.values(name)).replace("-", "_").split(",")
        forbidden = [module for module in _HYPER_V if module in named]
        if forbidden:
            yield line_hit(f"{name} forbids {listed(forbidden)}", parameters.line)


@linux_rule("LNX311", "dracut-not-told-of-hyper-v", WARNING)
def dracut_not_told_of_hyper_v(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Where dracut makes initial RAM disks for the machine it runs on only, it is told to add
    hv_vmbus, hv_storvsc and hv_netvsc if they are modules; with blanks inside the quotes.

    ## Why it matters
    A new kernel that is installed elsewhere does not start in Azure.

    ## How to fix
    Write `add_drivers+=" hv_vmbus hv_netvsc hv_storvsc "` to /etc/dracut.conf.d/azure.conf.

    ## Source
    - Azure, "Prepare a Red Hat-based virtual machine"; dracut.conf(5)
    """
    if not guest.is_of(Family.REDHAT, Family.SUSE) or guest.kernel is None:
        return
    wanted = [
        module
        for module, option in (
            ("hv_vmbus", "CONFIG_HYPERV"),
            ("hv_storvsc", "CONFIG_HYPERV_STORAGE"),
            ("hv_netvsc", "CONFIG_HYPERV_NET"),
        )
        if guest.kernel.presence(module, option) is Presence.MODULE
    ]
    files = guest.files
    folders = ("/etc/dracut.conf.d", "/usr/lib/dracut/dracut.conf.d", "/lib/dracut/dracut.conf.d")
    text = "\n".join(
        line.text
        for path in ("/etc/dracut.conf", *files.drop_ins(folders, "*.conf"))
        for line in uncommented(files.lines(path))
    )
    if not files.exists("/usr/bin/dracut") and not files.exists("/sbin/dracut"):
        return
    generic = re.search(r"hostonly=[\"']?no", text) is not None
    missing = [module for module in wanted if not re.search(rf"[\s\"']{module}[\s\"']", text)]
    if missing and not generic:
        yield path_hit(f"dracut is not told to add {listed(missing)}", "/etc/dracut.conf.d")


@linux_rule("LNX312", "initramfs-for-build-machine-only", WARNING)
def initramfs_for_build_machine_only(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    initramfs-tools of Debian and Ubuntu has MODULES=most.

    ## Why it matters
    With `dep` an initial RAM disk has the drivers of the machine that it is made on only.

    ## How to fix
    Set MODULES=most in /etc/initramfs-tools/initramfs.conf, and `update-initramfs -u -k all`.

    ## Source
    - initramfs.conf(5); the file of Debian's package has MODULES=most
    """
    if not guest.is_of(Family.DEBIAN):
        return
    files = guest.files
    paths = ["/etc/initramfs-tools/initramfs.conf"]
    paths += files.paths("/etc/initramfs-tools/conf.d")
    found = None
    for path in paths:
        found = settings(files.lines(path)).get("MODULES", found)
    if found is not None and found.value not in ("most", "netboot"):
        yield line_hit(f"MODULES is {quoted(found.value)}, expected most", found.line)


@linux_rule("LNX375", "no-nvme-driver-at-boot", WARNING, GEN2)
def no_nvme_driver_at_boot(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    nvme is built into the kernel that starts by default, or in its initial RAM disk.

    ## Why it matters
    Machine sizes from generation 6 have their disks on NVMe only.

    ## How to fix
    Add nvme to dracut's add_drivers, or to /etc/initramfs-tools/modules, and rebuild.

    ## Source
    - Azure, "Enable NVMe" (enable-nvme-interface)
    """
    why = "which newer sizes of machines need for their disks"
    yield from _early(guest, "nvme", "CONFIG_BLK_DEV_NVME", why)


@linux_rule("LNX379", "no-mana-driver", INFO)
def no_mana_driver(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The kernel has mana, the driver of Azure's own network card.

    ## Why it matters
    New machine sizes have no accelerated networking without it.

    ## How to fix
    Install a kernel of 6.2 or later, or the distribution's kernel for Azure.

    ## Source
    - microsoft/lisa, hv_module.py; Azure, "Linux VMs with MANA"
    """
    yield from _anywhere(guest, {"mana": "CONFIG_MICROSOFT_MANA"})


@linux_rule("LNX381", "no-accelerated-networking-drivers", INFO)
def no_accelerated_networking_drivers(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The kernel has pci_hyperv, mlx4_en and mlx5_core.

    ## Why it matters
    Without them there is no accelerated networking.

    ## How to fix
    Install the package with the kernel's further modules.

    ## Source
    - microsoft/lisa, hv_module.py; Azure, "Prepare Linux for imaging"
    """
    options = {"pci_hyperv": "CONFIG_PCI_HYPERV", "mlx4_en": "CONFIG_MLX4_EN",
               "mlx5_core": "CONFIG_MLX5_CORE"}  # fmt: skip
    yield from _anywhere(guest, options)


@linux_rule("LNX382", "modules-not-blacklisted", INFO)
def modules_not_blacklisted(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Red Hat Enterprise Linux for Azure does not load nouveau, floppy and skx_edac.

    ## Why it matters
    Little: they slow the start, or complain in the log.

    ## How to fix
    `blacklist` lines in /etc/modprobe.d, as Red Hat's own images have them.

    ## Source
    - osbuild/images, settings of its Azure images
    """
    if not guest.is_of(Family.REDHAT) or guest.release is None or guest.release.id != "rhel":
        return
    known = guest.modprobe
    wanted = ("nouveau", "floppy", "skx_edac")
    missing = [name for name in wanted if known.forbids(name) is None]
    if len(missing) == len(wanted):
        message = f"none of {', '.join(missing)} is blacklisted, as in Red Hat's images for Azure"
        yield path_hit(message, "/etc/modprobe.d")


@linux_rule("LNX395", "no-watchdog-or-cifs", INFO)
def no_watchdog_or_cifs(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The kernel was built with CONFIG_WATCHDOG, and has cifs.

    ## Why it matters
    Azure Files needs cifs; cluster software needs a watchdog.

    ## How to fix
    Install the package with the kernel's further modules.

    ## Source
    - microsoft/lisa, azure_image_standard.py, essential kernel modules
    """
    yield from _anywhere(guest, {"cifs": "CONFIG_CIFS"})
    kernel = guest.kernel
    options = None if kernel is None else kernel.config
    if kernel is not None and options is not None and "CONFIG_WATCHDOG" not in options:
        yield path_hit(f"kernel {kernel.version} was built without watchdogs", kernel.folder)
