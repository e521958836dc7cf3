"""Boot loaders, command lines, drivers and mounts."""

from __future__ import annotations

import pytest

from tests.rules.linux.guests import (
    DEBIAN,
    FLATCAR,
    RHEL,
    ROOT_DEVICE,
    UBUNTU,
    VERSION,
    Files,
    Link,
    cloud,
    cpio,
    dpkg,
    elf,
    enabled,
    grub,
    guest,
    hits,
    judge,
    kernel,
    passes,
    pe,
)
from vhdtool.errors import GuestError
from vhdtool.guest.linux.guest import Device
from vhdtool.rules.model import Severity

SH: Files = {"/bin/sh": elf()}
ARM: Files = {"/bin/sh": elf(machine=183)}
CONFIG = "/boot/grub/grub.cfg"
DRIVERS = ("hv_vmbus", "hv_storvsc", "hv_netvsc", "hv_utils")


# --- command line


def test_lnx316_hits_a_kernel_without_serial_console() -> None:
    hits("LNX316", DEBIAN | grub("root=UUID=1 console=tty0"), path=CONFIG, line=3)
    hits("LNX316", ARM | grub("root=UUID=1 console=ttyS0"), says="ttyAMA0")


def test_lnx316_passes_with_one() -> None:
    passes("LNX316", DEBIAN | grub("root=UUID=1 console=ttyS0,115200n8"))
    passes("LNX316", ARM | grub("root=UUID=1 console=ttyAMA0"))
    passes("LNX316", DEBIAN)


def test_lnx317_hits_another_last_console() -> None:
    hits("LNX317", DEBIAN | grub("console=ttyS0 console=tty1"), says="tty1")


def test_lnx317_passes_the_serial_one() -> None:
    passes("LNX317", DEBIAN | grub("console=tty1 console=ttyS0"))


def test_lnx318_hits_missing_early_messages() -> None:
    hits("LNX318", DEBIAN | grub("root=UUID=1"))


def test_lnx318_passes_with_them() -> None:
    passes("LNX318", DEBIAN | grub("earlyprintk=ttyS0,115200"))
    passes("LNX318", ARM | grub("earlycon=pl011,0xeffec000"))


def test_lnx319_hits_a_missing_or_short_delay() -> None:
    hits("LNX319", DEBIAN | grub("root=UUID=1"), says="missing")
    hits("LNX319", DEBIAN | grub("rootdelay=30"), says="30")


def test_lnx319_passes_300_and_flatcar() -> None:
    passes("LNX319", DEBIAN | grub("rootdelay=300"))
    passes("LNX319", FLATCAR | grub("root=LABEL=ROOT"))


def test_lnx321_hits_quiet() -> None:
    hits("LNX321", RHEL | grub("rhgb quiet crashkernel=auto"), says="rhgb, quiet, crashkernel=auto")


def test_lnx321_passes_others() -> None:
    passes("LNX321", RHEL | grub("root=UUID=1 crashkernel=1G-4G:192M"))


def test_lnx322_hits_a_hidden_drive() -> None:
    hits("LNX322", DEBIAN | grub("libata.atapi_enabled=0"))


def test_lnx322_passes_others() -> None:
    passes("LNX322", DEBIAN | grub("libata.force=noncq"))


def test_lnx323_hits_numa_off_for_new_kernels() -> None:
    files = grub("numa=off") | {f"/lib/modules/{VERSION}/modules.dep": ""}
    hits("LNX323", DEBIAN | files)


def test_lnx323_passes_old_kernels() -> None:
    version = "2.6.32-431.el6.x86_64"
    passes("LNX323", grub("numa=off", version) | {f"/lib/modules/{version}/modules.dep": ""})


def test_lnx324_hits_unstable_and_missing_roots() -> None:
    hits("LNX324", DEBIAN | grub("root=/dev/sda1 ro"), says="/dev/sda1")
    hits(
        "LNX324", DEBIAN | grub("root=UUID=2222-bbbb"), devices=[ROOT_DEVICE], says="does not have"
    )


def test_lnx324_passes_stable_roots() -> None:
    passes("LNX324", DEBIAN | grub("root=UUID=1111-AAAA"), devices=[ROOT_DEVICE])
    passes("LNX324", DEBIAN | grub("root=/dev/mapper/vg-root"), devices=[ROOT_DEVICE])
    passes("LNX324", DEBIAN | grub("root=UUID=2222-bbbb"))


def test_lnx334_hits_many_huge_pages() -> None:
    path = "/etc/sysctl.d/90-db.conf"
    hits("LNX334", {path: "# db\nvm.nr_hugepages = 2048\n"}, path=path, line=2, says="4096 MiB")
    hits("LNX334", grub("default_hugepagesz=1G hugepagesz=1G hugepages=4"), says="4096 MiB")


def test_lnx334_passes_a_few() -> None:
    passes("LNX334", {"/etc/sysctl.conf": "vm.nr_hugepages=128\n;vm.nr_hugepages=9999\n"})


def test_lnx376_hits_a_missing_time_out() -> None:
    hits("LNX376", DEBIAN | grub("root=UUID=1"))


def test_lnx376_passes_with_it() -> None:
    passes("LNX376", DEBIAN | grub("nvme_core.io_timeout=240"))
    option: Files = {"/etc/modprobe.d/nvme.conf": "options nvme_core io_timeout=240\n"}
    passes("LNX376", DEBIAN | grub("root=UUID=1") | option)
    passes("LNX376", DEBIAN | grub("root=UUID=1") | {"/usr/sbin/azure-nvme-id": "x"})


def test_lnx398_hits_rescue_modes() -> None:
    target: Files = {
        "/etc/systemd/system/default.target": Link("/lib/systemd/system/rescue.target")
    }
    hits("LNX398", target)
    hits("LNX398", grub("root=UUID=1 init=/bin/bash"))


def test_lnx398_passes_usual_targets() -> None:
    name = "/etc/systemd/system/default.target"
    passes("LNX398", {name: Link("/lib/systemd/system/graphical.target")} | grub("root=UUID=1"))


def test_gen220_hits_a_missing_device() -> None:
    hits("GEN220", grub("resume=UUID=3333-cccc"), devices=[ROOT_DEVICE])
    hits("GEN220", grub("resume=/dev/sda5"), devices=[ROOT_DEVICE])


def test_gen220_passes_a_present_or_unknown_one() -> None:
    passes("GEN220", grub("resume=UUID=1111-aaaa"), devices=[ROOT_DEVICE])
    passes("GEN220", grub("resume=UUID=3333-cccc"), devices=[ROOT_DEVICE, Device("swap")])
    passes("GEN220", grub("resume=UUID=3333-cccc"))


# --- loaders


def test_lnx313_hits_missing_files() -> None:
    hits("LNX313", DEBIAN | grub("root=UUID=1", files=False), count=2, path=CONFIG, line=3)
    empty: Files = {f"/boot/vmlinuz-{VERSION}": ""}
    hits("LNX313", DEBIAN | grub("root=UUID=1") | empty, says="empty")


def test_lnx313_passes_what_is_there() -> None:
    passes("LNX313", DEBIAN | grub("root=UUID=1"))
    text = f"menuentry 'x' {{\n linux ($root)/@/boot/vmlinuz-{VERSION} root=UUID=1\n}}\n"
    passes("LNX313", DEBIAN | grub("root=UUID=1") | {CONFIG: text})


def test_lnx314_hits_missing_modules() -> None:
    hits("LNX314", DEBIAN | grub("root=UUID=1"), says=VERSION)
    folder: Files = {f"/lib/modules/{VERSION}/kernel/": ""}
    hits("LNX314", DEBIAN | grub("root=UUID=1") | folder, says="modules.dep")


def test_lnx314_passes_with_modules() -> None:
    passes("LNX314", DEBIAN | kernel(["a"]))


def test_lnx315_hits_an_old_kernel() -> None:
    hits("LNX315", kernel(["a"], version="2.6.32-220.el6.x86_64"))


def test_lnx315_passes_new_and_patched_ones() -> None:
    passes("LNX315", kernel(["a"]))
    passes("LNX315", kernel(["a"], version="2.6.32-431.el6.x86_64"))


def test_lnx330_hits_a_menu_that_is_not_on_the_serial_console() -> None:
    hits("LNX330", grub("x") | {"/etc/default/grub": "GRUB_TIMEOUT=5\n"}, path="/etc/default/grub")
    text = 'GRUB_TERMINAL="serial console"\nGRUB_TIMEOUT=0\n'
    hits("LNX330", grub("x") | {"/etc/default/grub": text}, line=2)


def test_lnx330_passes_one_that_is() -> None:
    text = 'GRUB_TERMINAL_OUTPUT="console serial"\nGRUB_TIMEOUT=10\n'
    passes("LNX330", grub("x") | {"/etc/default/grub": text})


BLS = "/boot/loader/entries/abc-5.14.0-1.el9.x86_64.conf"
ENVIRONMENT = "# GRUB Environment Block\nkernelopts=root=UUID=1111-aaaa ro \n".ljust(1024, "#")
ENTRY = "title RHEL\nversion 5.14\nlinux /vmlinuz-5.14.0-1.el9.x86_64\noptions $kernelopts\n"
USES_BLS: Files = {"/boot/grub2/grub.cfg": 'set default="${saved_entry}"\ninsmod blscfg\nblscfg\n'}


def test_lnx331_hits_empty_menus_and_lost_options() -> None:
    hits("LNX331", RHEL | USES_BLS, says="none")
    hits("LNX331", RHEL | USES_BLS | {BLS: ENTRY}, says="root", path=BLS, line=4)


def test_lnx331_passes_with_the_environment() -> None:
    passes("LNX331", RHEL | USES_BLS | {BLS: ENTRY, "/boot/grub2/grubenv": ENVIRONMENT})


def test_lnx332_hits_damaged_files() -> None:
    modules: Files = {"/boot/grub/i386-pc/normal.mod": "x"}
    hits("LNX332", modules, says="no grub.cfg")
    hits("LNX332", modules | {CONFIG: ""}, says="empty")
    hits(
        "LNX332", grub("x") | {"/boot/grub/grubenv": "# GRUB Environment Block\n"}, says="25 bytes"
    )


def test_lnx332_passes_sound_files() -> None:
    modules: Files = {"/boot/grub/i386-pc/normal.mod": "x"}
    passes("LNX332", modules | grub("x") | {"/boot/grub/grubenv": ENVIRONMENT})


STUB = "search.fs_uuid 0f3e-1a2b root\nset prefix=($root)'/boot/grub'\n"


def test_lnx333_hits_a_stub_that_points_nowhere() -> None:
    path = "/boot/efi/EFI/debian/grub.cfg"
    hits("LNX333", {path: STUB}, devices=[ROOT_DEVICE], path=path, line=1)


def test_lnx333_passes_one_that_points_somewhere() -> None:
    text = "search --no-floppy --fs-uuid --set=dev 1111-aaaa\n"
    passes("LNX333", {"/boot/efi/EFI/redhat/grub.cfg": text}, devices=[ROOT_DEVICE])
    passes("LNX333", {"/boot/efi/EFI/debian/grub.cfg": STUB})


def test_lnx399_hits_missing_links() -> None:
    hits("LNX399", {"/usr/bin/env": "x", "/bin": Link("usr/bin")}, says="/sbin, /lib")


def test_lnx399_passes_links_and_folders() -> None:
    links: Files = {f"/{name}": Link(f"usr/{name}") for name in ("bin", "sbin", "lib")}
    passes("LNX399", links | {"/usr/bin/env": "x", "/usr/sbin/": "", "/usr/lib/": ""})


ESP = "/boot/efi/EFI"


def test_dsk105_hits_missing_and_foreign_loaders() -> None:
    hits("DSK105", SH | {f"{ESP}/debian/grubx64.efi": pe()}, says="BOOTX64.EFI")
    hits("DSK105", SH | {f"{ESP}/BOOT/BOOTX64.EFI": pe(0xAA64)}, says="x86_64")
    hits("DSK105", ARM | {f"{ESP}/BOOT/BOOTX64.EFI": pe()}, says="BOOTAA64.EFI")


def test_dsk105_passes_right_loaders() -> None:
    passes("DSK105", SH | {f"{ESP}/BOOT/BOOTX64.EFI": pe()})
    passes("DSK105", SH)


def test_dsk106_hits_a_lonely_shim() -> None:
    hits("DSK106", {f"{ESP}/BOOT/BOOTX64.EFI": pe() + b"UEFI SHIM\n$Version: 15.8 $"})


def test_dsk106_passes_shim_in_company() -> None:
    shim: Files = {f"{ESP}/BOOT/BOOTX64.EFI": pe() + b"UEFI SHIM"}
    passes("DSK106", shim | {f"{ESP}/BOOT/grubx64.efi": pe()})
    fallback: Files = {f"{ESP}/BOOT/fbx64.efi": pe(), f"{ESP}/redhat/BOOTX64.CSV": "x"}
    passes("DSK106", shim | fallback)
    passes("DSK106", {f"{ESP}/BOOT/BOOTX64.EFI": pe() + b"GRUB shim_lock"})


def test_gen208_hits_an_unsigned_loader() -> None:
    hits("GEN208", {f"{ESP}/BOOT/BOOTX64.EFI": pe()})


def test_gen208_passes_a_signed_one() -> None:
    passes("GEN208", {f"{ESP}/BOOT/BOOTX64.EFI": pe(signed=True)})


def test_gen205_hits_32_bits() -> None:
    hits("GEN205", {"/bin/sh": elf(32, 3)}, says="i386")


def test_gen205_passes_64_bits() -> None:
    passes("GEN205", SH)


def test_gen206_hits_other_processors() -> None:
    hits("GEN206", {"/bin/sh": elf(machine=243)}, says="riscv64")


def test_gen206_passes_azures() -> None:
    passes("GEN206", ARM)


def test_gen207_hits_arm64() -> None:
    hits("GEN207", ARM)


def test_gen207_passes_x86() -> None:
    passes("GEN207", SH)


# --- drivers


def test_lnx301_hits_a_bus_driver_that_comes_too_late() -> None:
    hits("LNX301", DEBIAN | kernel(DRIVERS, initramfs=["ext4"]), says="initial RAM disk")
    hits("LNX301", DEBIAN | kernel(["ext4"], ["ipv6"]), says="missing")


def test_lnx301_passes_early_drivers() -> None:
    passes("LNX301", DEBIAN | kernel(DRIVERS, initramfs=["hv_vmbus", "hv_storvsc"]))
    passes("LNX301", DEBIAN | kernel([], DRIVERS, initramfs=[]))


def test_lnx301_tells_an_initramfs_that_it_cannot_read() -> None:
    files = kernel(DRIVERS) | {f"/boot/initrd.img-{VERSION}": b"\x28\xb5\x2f\xfd damaged"}
    with pytest.raises(GuestError, match="damaged, or compressed"):
        judge("LNX301", guest(DEBIAN | files))


def test_lnx302_hits_a_storage_driver_that_comes_too_late() -> None:
    hits("LNX302", DEBIAN | kernel(DRIVERS, initramfs=["hv_vmbus"]))


def test_lnx302_passes_an_early_one() -> None:
    passes("LNX302", DEBIAN | kernel(DRIVERS, initramfs=["hv_vmbus", "hv_storvsc"]))


def test_lnx303_hits_a_missing_network_driver() -> None:
    hits("LNX303", DEBIAN | kernel(["hv_vmbus"], ["ipv6"]), says="hv_netvsc")


def test_lnx303_passes_a_module() -> None:
    passes("LNX303", DEBIAN | kernel(["hv_netvsc"], ["ipv6"], initramfs=[]))


def test_lnx303_passes_what_cannot_be_told() -> None:
    passes("LNX303", DEBIAN | grub("x") | {f"/lib/modules/{VERSION}/modules.dep": ""})


def test_lnx304_hits_missing_utilities() -> None:
    hits("LNX304", kernel(["a"], ["b"]))


def test_lnx304_passes_built_in_by_configuration() -> None:
    files = kernel(["a"]) | {f"/boot/config-{VERSION}": "CONFIG_HYPERV_UTILS=y\n"}
    passes("LNX304", files)


def test_lnx305_hits_missing_drivers() -> None:
    hits("LNX305", kernel(["a"], ["b"]), says="hv_balloon, hyperv_keyboard")


def test_lnx305_passes_with_them() -> None:
    passes("LNX305", kernel(["hv_balloon", "hyperv-keyboard"], ["b"]))


def test_lnx306_hits_a_kernel_without_display() -> None:
    hits("LNX306", kernel(["a"], ["b"]))


def test_lnx306_passes_either() -> None:
    passes("LNX306", kernel(["hyperv_drm"], ["b"]))


def test_lnx307_hits_a_forbidden_vfat() -> None:
    path = "/etc/modprobe.d/cis.conf"
    files: Files = {path: "# CIS\ninstall vfat /bin/true\n"}
    hits("LNX307", kernel(["vfat"], ["b"]) | files, path=path, line=2)
    hits("LNX307", kernel(["a"], ["b"]), says="no vfat")


def test_lnx307_passes_a_built_in_one() -> None:
    files: Files = {"/etc/modprobe.d/cis.conf": "install vfat /bin/true\n"}
    passes("LNX307", kernel(["a"], ["vfat"]) | files)
    passes("LNX307", kernel(["vfat"], ["b"]))


def test_lnx308_hits_a_forbidden_udf() -> None:
    files: Files = {"/etc/modprobe.d/cis.conf": "blacklist udf\n"}
    hits("LNX308", kernel(["udf"], ["b"]) | files)
    recent = cloud("users: []\n") | dpkg(cloud_init="22.4.2-1")
    hits("LNX308", kernel(["udf"], ["b"]) | files | recent, severity=Severity.WARNING)


def test_lnx308_passes_a_loadable_one() -> None:
    passes("LNX308", kernel(["udf"], ["b"]))


def test_lnx309_hits_a_missing_drive() -> None:
    hits("LNX309", kernel(["a"], ["b"]), count=2)


def test_lnx309_passes_with_one() -> None:
    passes("LNX309", kernel(["isofs"], ["sr_mod"]))


def test_lnx310_hits_forbidden_drivers() -> None:
    path = "/usr/lib/modprobe.d/x.conf"
    hits("LNX310", {path: "install hv_netvsc /bin/false\n"}, path=path, line=1)
    hits("LNX310", grub("module_blacklist=hv-storvsc,floppy"), says="hv_storvsc")


def test_lnx310_passes_other_modules() -> None:
    hidden: Files = {
        "/etc/modprobe.d/x.conf": "",
        "/usr/lib/modprobe.d/x.conf": "blacklist hv_utils\n",
    }
    passes("LNX310", hidden | grub("module_blacklist=floppy"))


DRACUT: Files = {"/usr/bin/dracut": "x"}


def test_lnx311_hits_drivers_that_dracut_is_not_told_of() -> None:
    modules = kernel(("hv_vmbus", "hv_storvsc", "hv_netvsc"), ["b"])
    hits("LNX311", RHEL | DRACUT | modules, says="hv_vmbus, hv_storvsc, hv_netvsc")


def test_lnx311_passes_told_and_built_in() -> None:
    modules = kernel(("hv_vmbus", "hv_storvsc", "hv_netvsc"), ["b"])
    told: Files = {"/etc/dracut.conf.d/a.conf": 'add_drivers+=" hv_vmbus hv_netvsc hv_storvsc "\n'}
    passes("LNX311", RHEL | DRACUT | modules | told)
    passes("LNX311", RHEL | DRACUT | modules | {"/etc/dracut.conf": "hostonly=no\n"})
    passes("LNX311", RHEL | DRACUT | kernel(["a"], ("hv_vmbus", "hv_storvsc", "hv_netvsc")))
    passes("LNX311", DEBIAN | DRACUT | modules)


def test_lnx312_hits_an_initramfs_for_one_machine() -> None:
    path = "/etc/initramfs-tools/initramfs.conf"
    hits("LNX312", DEBIAN | {path: "# x\nMODULES=dep\n"}, path=path, line=2)


def test_lnx312_passes_most() -> None:
    passes("LNX312", DEBIAN | {"/etc/initramfs-tools/initramfs.conf": "MODULES=most\n"})


def test_lnx375_hits_a_missing_nvme() -> None:
    hits("LNX375", kernel(["nvme"], ["b"], initramfs=["hv_vmbus"]))


def test_lnx375_passes_an_early_one() -> None:
    passes("LNX375", kernel(["nvme"], ["b"], initramfs=["nvme"]))


def test_lnx379_hits_a_kernel_without_mana() -> None:
    hits("LNX379", kernel(["a"], ["b"]))


def test_lnx379_passes_with_it() -> None:
    passes("LNX379", kernel(["mana"], ["b"]))


def test_lnx381_hits_missing_drivers() -> None:
    hits("LNX381", kernel(["pci-hyperv"], ["b"]), says="mlx4_en, mlx5_core")


def test_lnx381_passes_with_them() -> None:
    passes("LNX381", kernel(["pci-hyperv", "mlx4_en", "mlx5_core"], ["b"]))


def test_lnx382_hits_red_hat_without_a_blacklist() -> None:
    hits("LNX382", RHEL)


def test_lnx382_passes_with_one() -> None:
    passes("LNX382", RHEL | {"/etc/modprobe.d/x.conf": "blacklist nouveau\n"})
    passes("LNX382", DEBIAN)


def test_lnx395_hits_missing_cifs_and_watchdogs() -> None:
    files = kernel(["a"], ["b"]) | {f"/boot/config-{VERSION}": "CONFIG_X=y\n"}
    hits("LNX395", files, count=2)


def test_lnx395_passes_with_them() -> None:
    files = kernel(["cifs"], ["b"]) | {f"/boot/config-{VERSION}": "CONFIG_WATCHDOG=y\n"}
    passes("LNX395", files)


# --- fstab


def fstab(*lines: str) -> Files:
    return {"/etc/fstab": "".join(f"{line}\n" for line in lines)}


def test_lnx325_hits_unstable_devices() -> None:
    hits("LNX325", fstab("# x", "/dev/sda1 / ext4 defaults 0 1"), path="/etc/fstab", line=2)


def test_lnx325_passes_stable_and_unneeded_ones() -> None:
    passes(
        "LNX325",
        fstab("UUID=1 / ext4 defaults 0 1", "/dev/sr0 /media/cdrom0 udf,iso9660 noauto 0 0"),
    )
    passes("LNX325", fstab("/dev/sdb1 /mnt auto nofail 0 2", "/dev/vg/x /srv xfs defaults 0 0"))


def test_lnx326_hits_a_missing_root() -> None:
    hits("LNX326", fstab("UUID=2222-bbbb / ext4 defaults 0 1"), devices=[ROOT_DEVICE])
    hits("LNX326", fstab("LABEL=UEFI /boot/efi vfat umask=77 0 1"), devices=[ROOT_DEVICE])


def test_lnx326_passes_a_present_one() -> None:
    passes("LNX326", fstab("LABEL=root / ext4 defaults 0 1"), devices=[ROOT_DEVICE])
    passes("LNX326", fstab("UUID=2222-bbbb / ext4 defaults 0 1"))


def test_lnx327_hits_malformed_lines() -> None:
    hits("LNX327", fstab("UUID=1 /"), says="2 fields")
    hits("LNX327", fstab("UUID=1 / ext4"), severity=Severity.WARNING)
    hits("LNX327", fstab("UUID=1 / ext4 defaults, noatime 0"), says="no numbers")
    hits("LNX327", fstab("UUID=1 srv ext4 defaults 0 1"), says="no absolute path")


def test_lnx327_passes_sound_lines() -> None:
    passes(
        "LNX327", fstab("", "UUID=1 / ext4 defaults", "/swap none swap sw 0 0", "a /b c d 0 0 # x")
    )


def test_lnx328_hits_network_mounts() -> None:
    hits("LNX328", fstab("nas:/x /srv nfs defaults,_netdev 0 0"))


def test_lnx328_passes_those_that_may_fail() -> None:
    passes("LNX328", fstab("nas:/x /srv nfs _netdev,nofail 0 0", "//s/x /y cifs noauto 0 0"))


def test_lnx329_hits_passphrases_and_multipath() -> None:
    hits("LNX329", {"/etc/crypttab": "# x\nroot UUID=1 none luks\n"}, line=2)
    multipath: Files = {"/etc/multipath.conf": "defaults {\n find_multipaths no\n}\n"}
    hits("LNX329", multipath | enabled("multipathd.service"), line=2)


def test_lnx329_passes_key_files_and_nofail() -> None:
    passes("LNX329", {"/etc/crypttab": "a UUID=1 /etc/key luks\nb UUID=2 none luks,nofail\n"})


def test_dsk117_hits_a_swap_file() -> None:
    hits("DSK117", fstab("/swap.img none swap sw 0 0"))


def test_dsk117_passes_swap_elsewhere() -> None:
    passes("DSK117", fstab("/mnt/swapfile none swap sw,nofail 0 0", "UUID=1 none swap sw 0 0"))


def test_dsk118_hits_partitions_apart() -> None:
    lines = (
        "UUID=1 / ext4 defaults 0 1",
        "UUID=2 /home ext4 defaults 0 2",
        "UUID=3 /var xfs x 0 2",
    )
    hits("DSK118", fstab(*lines), says="/home, /var")


def test_dsk118_passes_one_root() -> None:
    lines = [
        "UUID=1 / btrfs subvol=@ 0 0",
        "UUID=1 /home btrfs subvol=@home 0 0",
        "UUID=2 /boot ext4 x 0 2",
        "UUID=3 /boot/efi vfat x 0 1",
        "tmpfs /tmp tmpfs x 0 0",
    ]
    passes("DSK118", fstab(*lines))


def test_dsk120_hits_rootvg() -> None:
    hits("DSK120", fstab("/dev/mapper/rootvg-rootlv / xfs defaults 0 0"))


def test_dsk120_passes_other_names() -> None:
    passes("DSK120", fstab("/dev/mapper/debian--vg-root / ext4 defaults 0 1"))


def test_dsk143_hits_data_of_another_disk() -> None:
    hits("DSK143", fstab("UUID=9 /data xfs defaults 0 0"), devices=[ROOT_DEVICE], says="/data")


def test_dsk143_passes_nofail_and_this_disk() -> None:
    passes(
        "DSK143",
        fstab("UUID=9 /data xfs nofail 0 0", "LABEL=root /x ext4 x 0 0"),
        devices=[ROOT_DEVICE],
    )
    passes("DSK143", fstab("UUID=9 none swap sw 0 0"), devices=[ROOT_DEVICE])


def test_gen211_hits_swap_on_the_resource_disk() -> None:
    hits("GEN211", fstab("/mnt/resource/swapfile none swap sw 0 0"))


def test_gen211_passes_swap_that_may_be_missing() -> None:
    passes("GEN211", fstab("/mnt/resource/swapfile none swap sw,nofail 0 0"))


def test_an_initramfs_of_several_archives_is_listed() -> None:
    import gzip

    early, late = cpio("kernel/x86/microcode"), gzip.compress(cpio("lib/hv_vmbus.ko.xz"))
    files = kernel(DRIVERS) | {f"/boot/initrd.img-{VERSION}": early + bytes(512) + late}
    held = guest(UBUNTU | files).initramfs
    assert held is not None
    assert held[1] == {"hv_vmbus"}
