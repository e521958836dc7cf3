"""Facts of Linux guests: releases, boot entries, initial RAM disks, YAML, services, verdicts."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import struct
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.rules.linux.guests import (
    AGENT,
    CLOUD_INIT,
    DEBIAN,
    RHEL,
    Files,
    Link,
    cloud,
    cpio,
    enabled,
    grub,
    guest,
    memory,
    pe,
    user,
)
from vhdtool.errors import GuestError
from vhdtool.guest.linux.files import Files as GuestFiles
from vhdtool.guest.linux.initramfs import initramfs_names
from vhdtool.guest.linux.release import Family
from vhdtool.guest.linux.yaml import read_yaml
from vhdtool.guest.tree import Tree
from vhdtool.guest.verdict import State

if TYPE_CHECKING:
    from pathlib import Path

# --- releases


@pytest.mark.parametrize(
    ("files", "known", "family", "numbers"),
    [
        (DEBIAN, "debian", Family.DEBIAN, (12,)),
        (RHEL, "rhel", Family.REDHAT, (9, 4)),
        ({"/etc/os-release": "ID=arch\n"}, "arch", Family.ARCH, ()),
        ({"/etc/os-release": "ID=mint\nID_LIKE='ubuntu debian'\n"}, "mint", Family.DEBIAN, ()),
        ({"/etc/os-release": "ID=nixos\nVERSION_ID=24.05\n"}, "nixos", Family.OTHER, (24, 5)),
        ({"/etc/os-release": "ID=opensuse-leap\nVERSION_ID=15.6\n"}, "opensuse-leap", Family.SUSE,
         (15, 6)),
        ({"/etc/redhat-release": "CentOS release 6.10 (Final)\n"}, "rhel", Family.REDHAT, (6, 10)),
        ({"/etc/debian_version": "7.11\n"}, "debian", Family.DEBIAN, (7, 11)),
        ({"/bin/freebsd-version": 'USERLAND_VERSION="14.1-RELEASE"\n'}, "freebsd", Family.FREEBSD,
         (14, 1)),
        ({"/bsd": "x", "/etc/installurl": "x"}, "openbsd", Family.OPENBSD, ()),
    ],
)  # fmt: skip
def test_distributions_are_told(
    files: Files, known: str, family: Family, numbers: tuple[int, ...]
) -> None:
    release = guest(files).release
    assert release is not None
    assert (release.id, release.family, release.numbers) == (known, family, numbers)


def test_a_link_that_leads_nowhere_is_passed_over() -> None:
    files: Files = {
        "/etc/os-release": Link("/run/os-release"),
        "/usr/lib/os-release": "ID=debian\n",
    }
    assert guest(files).release is not None
    assert guest({}).release is None


# --- boot entries


def test_grub_takes_the_saved_entry_and_follows_submenus() -> None:
    text = (
        'if [ "${next_entry}" ] ; then\n  set default="${next_entry}"\nelse\n'
        '  set default="${saved_entry}"\nfi\n'
        "menuentry 'A' --class x $menuentry_id_option 'id-a' {\n"
        "\tlinux /vmlinuz-1.0 root=UUID=1\n}\n"
        "submenu 'More' {\n\tmenuentry 'B' $menuentry_id_option 'id-b' {\n"
        "\t\tlinux /vmlinuz-2.0 root=UUID=2\n\t\tinitrd /a.img /b.img\n\t}\n}\n"
    )
    files: Files = {"/boot/grub/grub.cfg": text, "/boot/vmlinuz-2.0": "x"}
    first = guest(files).boot
    assert first is not None
    assert first.entry.title == "A"
    saved = guest(
        files | {"/boot/grub/grubenv": "# GRUB Environment Block\nsaved_entry=More>id-b\n"}
    )
    assert saved.boot is not None
    assert saved.boot.kernel == "/boot/vmlinuz-2.0"
    assert saved.boot.kernel_version == "2.0"
    assert saved.boot.entry.initrds == ["/a.img", "/b.img"]


def test_the_newest_entry_of_the_boot_loader_specification_starts() -> None:
    files: Files = {"/boot/grub2/grub.cfg": "blscfg\n"}
    for version in ("5.14.0-9.el9", "5.14.0-70.el9"):
        files[f"/boot/loader/entries/a-{version}.conf"] = f"linux /vmlinuz-{version}\noptions ro\n"
    boot = guest(RHEL | files).boot
    assert boot is not None
    assert boot.kernel_version == "5.14.0-70.el9"


def test_systemd_boot_takes_the_default_of_its_settings() -> None:
    files: Files = {"/efi/loader/loader.conf": "default old*\n"}
    for name in ("new-2", "old-1"):
        files[f"/efi/loader/entries/{name}.conf"] = (
            f"title {name}\nlinux /{name}/linux\noptions x={name}\n"
        )
    boot = guest(files).boot
    assert boot is not None
    assert boot.loader == "systemd-boot"
    assert boot.command_line.last("x") == "old-1"


def test_a_unified_kernel_has_its_command_line_in_a_section() -> None:
    sections = {".cmdline": b"root=UUID=1 quiet\0", ".linux": b"kernel", ".uname": b"6.9.1"}
    head = bytearray(pe())
    struct.pack_into("<H", head, 64 + 6, len(sections))
    body, table = b"", b""
    start = len(head) + 40 * len(sections)
    for name, data in sections.items():
        table += name.encode().ljust(8, b"\0")
        table += struct.pack("<IIII", len(data), 0, len(data), start + len(body)).ljust(32, b"\0")
        body += data
    boot = guest({"/efi/EFI/Linux/arch.efi": bytes(head) + table + body}).boot
    assert boot is not None
    assert boot.command_line.words == ("root=UUID=1", "quiet")
    assert boot.kernel_version == "6.9.1"


def test_the_old_grub_is_read() -> None:
    text = (
        "default=1\ntitle A\n kernel /vmlinuz-1 ro\ntitle B\n root (hd0,0)\n"
        " kernel (hd0,0)/vmlinuz-2.6.32-1.el6 ro root=UUID=1\n initrd /initramfs.img\n"
    )
    boot = guest({"/boot/grub/menu.lst": text}).boot
    assert boot is not None
    assert boot.entry.title == "B"
    assert boot.kernel_version == "2.6.32-1.el6"


def test_a_guest_without_a_loader_has_no_boot_entry() -> None:
    assert guest(DEBIAN).boot is None
    assert guest(DEBIAN | {"/boot/grub/grub.cfg": "menuentry 'x' {\n"}).boot is None


# --- initial RAM disks


@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, bz2.compress, lzma.compress,
             lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE)]
)  # fmt: skip
def test_archives_are_listed(pack: object) -> None:
    assert callable(pack)
    data = (
        cpio("early") + bytes(700) + pack(cpio("a", "b/c.ko") + bytes(512) + cpio("d")) + bytes(9)
    )
    assert initramfs_names(data) == ["early", "a", "b/c.ko", "d"]


@pytest.mark.parametrize(
    "command", [["zstd", "-q", "-19", "-c"], ["lz4", "-q", "-l", "-c"], ["xz", "-C", "crc32", "-c"]]
)
def test_what_the_tools_of_initramfs_pack_is_listed(command: list[str]) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]}")
    data = cpio("a", "b/c.ko") * 2
    packed = subprocess.run(command, input=data, capture_output=True, check=True).stdout
    assert initramfs_names(cpio("early") + packed) == ["early", *("a", "b/c.ko") * 2]


def test_archives_of_cpio_itself_are_listed(tmp_path: Path) -> None:
    if shutil.which("cpio") is None:
        pytest.skip("needs cpio")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "hv_vmbus.ko").write_bytes(b"x" * 12345)
    names = b"lib\nlib/hv_vmbus.ko\n"
    done = subprocess.run(
        ["cpio", "-o", "-H", "newc"], cwd=tmp_path, input=names, capture_output=True, check=True
    )
    assert initramfs_names(done.stdout) == ["lib", "lib/hv_vmbus.ko"]


@pytest.mark.parametrize(
    "data",
    [
        b"\x28\xb5\x2f\xfd zstd",
        b"\x02\x21\x4c\x18 lz4",
        b"\x89LZO\0\r\n\x1a\n",
        gzip.compress(cpio("a"))[:-20],
        b"\x1f\x8b damaged",
        cpio("a")[:100],
        b"070701" + b"z" * 200,
        b"070701" + b"f" * 200,
        gzip.compress(b"no archive at all"),
        cpio("a") + b"garbage",
    ],
)
def test_what_cannot_be_listed_is_an_error(data: bytes) -> None:
    with pytest.raises(GuestError):
        initramfs_names(data)


def test_hostile_archives_end_soon() -> None:
    started = time.monotonic()
    bomb = gzip.compress(bytes(64 << 20))
    assert initramfs_names(bomb) == []
    for data in (cpio() * 100_000, gzip.compress(cpio() * 100_000), bomb * 20):
        with pytest.raises(GuestError):
            initramfs_names(data)
    assert time.monotonic() - started < 20


# --- YAML


def parsed(text: str) -> object:
    return read_yaml(GuestFiles(Tree(memory({"/a.yaml": text}))), "/a.yaml")


def test_yaml_keeps_lines_and_merges_keys() -> None:
    item = read_yaml(
        GuestFiles(Tree(memory({"/a": "x: &x {p: 1, q: 2}\ny:\n  <<: *x\n  q: yes\n"}))), "/a"
    )
    assert item is not None
    merged = item.get("y")
    assert merged is not None
    assert {key: one.value for key, one in merged.pairs()} == {"p": "1", "q": True}
    assert merged.value["q"].line == 4


@pytest.mark.parametrize(
    "text",
    [
        "a: [\n",
        "[" * 5000,
        "a: &a [1]\n" + "".join(f"{x}: &{x} [{', '.join(['*' + y] * 9)}]\n"
                                for x, y in zip("bcdefghij", "abcdefghi", strict=True)),
        "a: &a {k: 1}\n" + "".join(f"{x}: &{x} {{<<: [{', '.join(['*' + y] * 9)}]}}\n"
                                   for x, y in zip("bcdefghij", "abcdefghi", strict=True)),
        "a: &a [*a]\n",
        "x" * (300 << 10),
    ],
)  # fmt: skip
def test_hostile_yaml_is_told(text: str) -> None:
    with pytest.raises(GuestError):
        parsed(text)


def test_cloud_inits_settings_are_merged_as_it_does() -> None:
    files = cloud("system_info: {distro: debian, paths: {a: b}}\nmodules: [one]\n")
    files |= cloud("system_info: {paths: {a: c}}\nmodules: [two]\n", "10.cfg")
    files |= cloud("system_info: {distro: other}\n", "20.cfg") | cloud("x: [", "30.bak")
    config = guest(files).cloud_config
    assert config is not None
    values = [config.get("system_info", "distro"), config.get("system_info", "paths", "a")]
    assert [item.value for item in values if item is not None] == ["other", "c"]
    modules = config.get("modules")
    assert modules is not None
    assert modules.texts == ["two"]


# --- services


def test_aliases_templates_and_masks() -> None:
    files = enabled("ssh.service") | {
        "/etc/systemd/system/sshd.service": Link("/usr/lib/systemd/system/ssh.service"),
        "/usr/lib/systemd/system/getty@.service": "[Unit]",
        "/etc/systemd/system/getty.target.wants/getty@tty1.service": Link(
            "/usr/lib/systemd/system/getty@.service"
        ),
        "/usr/lib/systemd/system/a.service": "[Unit]",
        "/etc/systemd/system/x.wants/a.service": Link("/usr/lib/systemd/system/a.service"),
        "/etc/systemd/system/a.service": Link("/dev/null"),
    }
    linux = guest(files)
    assert linux.starts("sshd.service")
    assert linux.starts("getty@tty1.service")
    assert linux.starts("a.service") is None
    assert linux.services.unit("a.service").masked_by == "/etc/systemd/system/a.service"


# --- verdicts

STATE = "/var/lib/waagent"
LOCKED = "root:*LOCK*:14600::::::\n"


@pytest.mark.parametrize(
    ("files", "state", "histories"),
    [
        ({}, State.GENERALIZED, ()),
        ({"/etc/hostname": "localhost.localdomain\n", f"{STATE}/": ""}, State.GENERALIZED, ()),
        ({"/etc/shadow": LOCKED}, State.GENERALIZED, ("waagent-deprovisioned",)),
        ({"/etc/shadow": LOCKED, "/var/lib/cloud/instance": Link("instances/i-1")}, State.UNCLEAR,
         ("cloud-init-instance", "waagent-deprovisioned")),
        ({f"{STATE}/provisioned": "x"}, State.SPECIALIZED, ("captured-machine",)),
        ({f"{STATE}/Incarnation": "1"}, State.UNCLEAR, ("captured-machine",)),
        ({"/etc/hostname": "web1\n"}, State.UNCLEAR, ()),
        (user(field="$6$a$b"), State.UNCLEAR, ()),
        (user(field="$6$a$b") | {"/etc/hostname": "web1\n"}, State.SPECIALIZED, ()),
        ({"/var/lib/cloud/instance": Link("instances/i-1"), "/etc/hostname": "web1\n"},
         State.SPECIALIZED, ("cloud-init-instance",)),
        ({f"{STATE}/provisioned": "x", "/etc/shadow": LOCKED},
         State.INCONSISTENT,
         ("captured-machine", "waagent-deprovisioned", "started-after-deprovisioning")),
    ],
)  # fmt: skip
def test_verdicts(files: Files, state: State, histories: tuple[str, ...]) -> None:
    verdict = guest(DEBIAN | AGENT | CLOUD_INIT | files).verdict
    assert verdict.state is state
    assert verdict.histories == histories
    assert (state is State.GENERALIZED) == (not [one for one in verdict.contrary if one.decisive]
                                            and "nothing is left" in verdict.summary)  # fmt: skip


def test_a_verdict_without_a_system_or_with_unread_files_is_unclear() -> None:
    assert guest({}).verdict.state is State.UNCLEAR
    loop: Files = {"/etc/hostname": Link("/etc/hostname")}
    verdict = guest(DEBIAN | loop).verdict
    assert verdict.state is State.UNCLEAR
    assert "symbolic links" in verdict.unread[0]


def test_parameters_are_split_as_the_kernel_does() -> None:
    parameters = guest(grub('root=UUID=1 dyndbg="file a.c +p" nvme-core.io_timeout=1')).command_line
    assert parameters is not None
    assert parameters.words[1] == 'dyndbg="file a.c +p"'
    assert parameters.last("nvme_core.io_timeout") == "1"
