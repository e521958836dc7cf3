"""The kernel's command line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vhdtool.guest.linux.files import settings, uncommented
from vhdtool.guest.linux.fstab import device_tag
from vhdtool.guest.linux.release import Family
from vhdtool.rules.linux.declare import ERROR, GEN2, INFO, WARNING, linux_rule
from vhdtool.rules.linux.hits import line_hit, listed, path_hit, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.linux.guest import LinuxGuest
    from vhdtool.rules.model import Hit

UNSTABLE = re.compile(r"/dev/(sd[a-z]|hd[a-z]|vd[a-z]|xvd[a-z]|nvme\d)")
_MOST_HUGE = 512 << 20  # bytes of huge pages that even a small machine can spare
_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def _serial(guest: LinuxGuest) -> str:
    program = guest.architecture
    return "ttyAMA0" if program is not None and program.machine == "aarch64" else "ttyS0"


def has_serial_console(guest: LinuxGuest) -> bool:
    """Whether the kernel's messages go to the serial console."""
    parameters = guest.command_line
    return parameters is not None and any(
        value.split(",")[0] == _serial(guest) for value in parameters.values("console")
    )


@linux_rule("LNX316", "no-serial-console", WARNING)
def no_serial_console(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The kernel that starts by default is given console=ttyS0, on Arm64 console=ttyAMA0.

    ## Why it matters
    Boot diagnostics and the serial console in the portal show nothing otherwise.

    ## How to fix
    Add `console=tty1 console=ttyS0,115200n8` to GRUB_CMDLINE_LINUX, and make grub.cfg anew.

    ## Source
    - Azure, "Prepare Linux for imaging"; Azure Marketplace, certification test 40
    """
    parameters = guest.command_line
    if parameters is not None and not has_serial_console(guest):
        yield line_hit(f"console={_serial(guest)} is missing", parameters.line)


@linux_rule("LNX317", "serial-console-not-last", INFO)
def serial_console_not_last(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Where several consoles are named, the serial one comes last.

    ## Why it matters
    What programs say goes to the last console only, and boot diagnostics do not show it.

    ## How to fix
    Put console=ttyS0 last.

    ## Source
    - Linux kernel, admin-guide/serial-console; Azure's old verification tests
    """
    parameters = guest.command_line
    if parameters is None or not has_serial_console(guest):
        return
    last = parameters.last("console") or ""
    if last.split(",")[0] != _serial(guest):
        yield line_hit(
            f"the last console is {quoted(last)}, expected {_serial(guest)}", parameters.line
        )


@linux_rule("LNX318", "no-early-messages", WARNING)
def no_early_messages(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The kernel is given earlyprintk=ttyS0, or earlycon on Arm64.

    ## Why it matters
    What goes wrong before the console is there is not seen. Certification asks for it.

    ## How to fix
    Add `earlyprintk=ttyS0` to GRUB_CMDLINE_LINUX.

    ## Source
    - Azure, "Prepare Linux for imaging"; Azure Marketplace, certification test 40
    """
    parameters = guest.command_line
    if parameters is None:
        return
    early = any("ttyS0" in value for value in parameters.values("earlyprintk"))
    if _serial(guest) == "ttyAMA0":
        early = any(word.split("=")[0] == "earlycon" for word in parameters.words)
    if not early:
        wanted = "earlyprintk=ttyS0" if _serial(guest) == "ttyS0" else "earlycon"
        yield line_hit(f"{wanted} is missing", parameters.line)


@linux_rule("LNX319", "no-root-delay", WARNING)
def no_root_delay(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The kernel is given rootdelay=300. Flatcar is left out: it waits for the time in full.

    ## Why it matters
    The disk may be late. Certification asks for it; what waits is the initial RAM disk, and only
    until the disk is there.

    ## How to fix
    Add `rootdelay=300` to GRUB_CMDLINE_LINUX.

    ## Source
    - Azure, "Prepare Linux for imaging"; Azure Marketplace, certification test 40
    """
    parameters = guest.command_line
    if parameters is None or guest.is_of(Family.FLATCAR):
        return
    value = parameters.last("rootdelay")
    if value is None:
        yield line_hit("rootdelay=300 is missing", parameters.line)
    elif value != "300":
        yield line_hit(f"rootdelay is {quoted(value)}, expected 300", parameters.line)


@linux_rule("LNX321", "quiet-kernel", INFO)
def quiet_kernel(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The command line has none of rhgb, quiet and crashkernel=auto.

    ## Why it matters
    With the first two the serial log lacks what one looks for in it; the third takes memory.
    Azure's page for Ubuntu shows `quiet splash` itself, so this is only worth a line.

    ## How to fix
    Remove them from GRUB_CMDLINE_LINUX and GRUB_CMDLINE_LINUX_DEFAULT.

    ## Source
    - Azure, "Prepare Linux for imaging" and "Prepare a Red Hat-based virtual machine"
    """
    parameters = guest.command_line
    if parameters is None:
        return
    found = [word for word in ("rhgb", "quiet", "crashkernel=auto") if parameters.has(word)]
    if found:
        yield line_hit(f"the kernel is given {listed(found)}", parameters.line)


@linux_rule("LNX322", "optical-drive-hidden", ERROR)
def optical_drive_hidden(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The command line has neither libata.atapi_enabled=0 nor reserve=0x1f0,0x8.

    ## Why it matters
    They hide the drive with the disc that Azure hands to a new machine. SUSE's installer set them
    on Hyper-V.

    ## How to fix
    Remove them.

    ## Source
    - Azure, "Prepare a SLES or openSUSE virtual machine"; microsoft/lisa tests every distribution
    """
    parameters = guest.command_line
    if parameters is None:
        return
    found = [
        word for word in ("libata.atapi_enabled=0", "reserve=0x1f0,0x8") if parameters.has(word)
    ]
    if found:
        yield line_hit(f"the optical drive is hidden by {listed(found)}", parameters.line)


@linux_rule("LNX323", "numa-off", INFO)
def numa_off(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    Kernels of 2.6.37 or later, and Red Hat's from 2.6.32-504, are not given numa=off.

    ## Why it matters
    Older kernels fail on machines with several memory nodes; later ones only lose speed by it.

    ## How to fix
    Remove numa=off.

    ## Source
    - Azure, "Prepare Linux for imaging"; Azure's old verification tests name 6.6 as the border
    """
    parameters, kernel = guest.command_line, guest.kernel
    if parameters is None or kernel is None or "off" not in parameters.values("numa"):
        return
    backported = re.match(r"2\.6\.32-(\d+)", kernel.version)
    patched = backported is not None and int(backported.group(1)) >= 504
    if kernel.numbers >= (2, 6, 37) or patched:
        yield line_hit(f"numa=off is set for kernel {kernel.version}", parameters.line)


@linux_rule("LNX324", "unstable-root", ERROR)
def unstable_root(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    root= names the root by UUID, PARTUUID, LABEL or logical volume, and the disk has it.

    ## Why it matters
    In Azure the disk may have another name, and with NVMe it has. The machine stops in the initial
    RAM disk.

    ## How to fix
    Remove GRUB_DISABLE_LINUX_UUID from /etc/default/grub, and make grub.cfg anew.

    ## Source
    - Azure, "Prepare Linux for imaging"; Azure's old verification tests
    """
    parameters = guest.command_line
    root = None if parameters is None else parameters.last("root")
    if parameters is None or root is None:
        return
    if UNSTABLE.match(root):
        yield line_hit(f"root is {quoted(root)}, expected a UUID", parameters.line)
        return
    tag = device_tag(root)
    if tag is not None and guest.has_device(*tag) is False:
        yield line_hit(f"root is {quoted(root)}, which the disk does not have", parameters.line)


@linux_rule("LNX334", "huge-pages", ERROR)
def huge_pages(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    No more than 512 MiB of huge pages are set aside, by sysctl or the command line.

    ## Why it matters
    On a machine with less memory than the build machine nothing is left for the rest, and it does
    not start.

    ## How to fix
    Remove vm.nr_hugepages and `hugepages=`, and set them for each machine.

    ## Source
    - Azure, "Linux VM fails to boot because of incorrect huge pages"
    """
    for path in _sysctl_files(guest):
        setting = settings(guest.files.lines(path), "#;").get("vm.nr_hugepages")
        if setting is not None and setting.value.isdigit():
            size = int(setting.value[:12]) * (2 << 20)
            if size > _MOST_HUGE:
                yield line_hit(
                    f"{setting.value} huge pages take {size >> 20} MiB, expected at most "
                    f"{_MOST_HUGE >> 20} MiB",
                    setting.line,
                )
    parameters = guest.command_line
    if parameters is None:
        return
    each, total = 2 << 20, 0
    for word in parameters.words:
        key, _, value = word.partition("=")
        if key in ("hugepagesz", "default_hugepagesz"):
            found = re.fullmatch(r"(\d{1,6})([kKmMgG])", value)
            each = int(found.group(1)) * _UNITS[found.group(2).lower()] if found else each
        elif key == "hugepages" and re.fullmatch(r"\d{1,12}", value):
            total += int(value) * each
    if total > _MOST_HUGE:
        yield line_hit(
            f"huge pages take {total >> 20} MiB, expected at most {_MOST_HUGE >> 20} MiB",
            parameters.line,
        )


def _sysctl_files(guest: LinuxGuest) -> list[str]:
    folders = ("/etc/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d")
    return ["/etc/sysctl.conf", *guest.files.drop_ins(folders, "*.conf")]


@linux_rule("LNX376", "no-nvme-time-out", WARNING, GEN2)
def no_nvme_time_out(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    nvme_core.io_timeout is 240, by the command line or modprobe.d; or azure-vm-utils, whose udev
    rules set it, is installed.

    ## Why it matters
    When Azure moves storage, requests take longer than NVMe's 30 seconds. The root file system then
    becomes read-only.

    ## How to fix
    Add `nvme_core.io_timeout=240` to GRUB_CMDLINE_LINUX.

    ## Source
    - Azure, "NVMe and Linux"; osbuild/images, settings of its Azure images
    """
    parameters = guest.command_line
    if parameters is None or "240" in parameters.values("nvme_core.io_timeout"):
        return
    files = guest.files
    if files.exists("/usr/sbin/azure-nvme-id") or files.exists("/usr/bin/azure-nvme-id"):
        return
    for path in files.drop_ins(("/etc/modprobe.d", "/usr/lib/modprobe.d"), "*.conf"):
        for line in uncommented(files.lines(path)):
            if re.match(r"options\s+nvme[_-]core\b.*\bio_timeout=240\b", line.text):
                return
    yield line_hit("nvme_core.io_timeout=240 is missing", parameters.line)


@linux_rule("GEN220", "resume-device-missing", WARNING)
def resume_device_missing(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    resume= on the command line names a device that the disk has.

    ## Why it matters
    The initial RAM disk waits for it before it goes on.

    ## How to fix
    Remove resume= from GRUB_CMDLINE_LINUX, or write RESUME=none to
    /etc/initramfs-tools/conf.d/resume.

    ## Source
    - dracut.cmdline(7), initramfs-tools(7). The identity of swap may be unread: on a disk with such
    swap nothing is said.
    """
    parameters = guest.command_line
    value = None if parameters is None else parameters.last("resume")
    if parameters is None or not value or guest.devices is None:
        return
    tag = device_tag(value)
    unknown_swap = any(device.kind == "swap" and not device.uuid for device in guest.devices)
    if UNSTABLE.match(value):
        yield line_hit(f"resume is {quoted(value)}, expected none in Azure", parameters.line)
    elif tag is not None and not unknown_swap and guest.has_device(*tag) is False:
        yield line_hit(f"resume is {quoted(value)}, which the disk does not have", parameters.line)


@linux_rule("LNX398", "rescue-mode", WARNING)
def rescue_mode(guest: LinuxGuest) -> Iterator[Hit]:
    """
    ## What it checks
    The machine starts into its usual target: not rescue or emergency, not a shell.

    ## Why it matters
    It waits at a console where nobody sits.

    ## How to fix
    `systemctl set-default multi-user.target`; remove the parameter.

    ## Source
    - systemd, kernel-command-line(7) and systemd.special(7)
    """
    path = "/etc/systemd/system/default.target"
    target = (guest.files.tree.read_link(path) or "").rpartition("/")[2]
    if target in ("rescue.target", "emergency.target"):
        yield path_hit(f"the default target is {target}, expected multi-user.target", path)
    parameters = guest.command_line
    if parameters is None:
        return
    plain = ("single", "emergency", "rescue", "S", "s", "1", "rd.break")
    words = [word for word in parameters.words if word in plain]
    words += [
        word
        for word in parameters.words
        if re.match(r"systemd\.unit=(rescue|emergency)|init=/(usr/)?bin/(ba|da)?sh$", word)
    ]
    if words:
        yield line_hit(f"the kernel is given {listed(words)}", parameters.line)
