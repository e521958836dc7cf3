"""A Debian 12 as its packages make it: their own files, and what their scripts do at installation.

Nothing is installed: packages are fetched from the distribution's mirror and unpacked in memory.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.rules.linux.guests import Files, Link, Node, kernel

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES = (
    "base-files",
    "base-passwd",
    "chrony",
    "cloud-guest-utils",
    "cloud-init",
    "grub-common",
    "initramfs-tools",
    "initramfs-tools-core",
    "kmod",
    "login",
    "netbase",
    "openssh-server",
    "passwd",
    "sudo",
    "systemd",
    "waagent",
)
# Of linux-image-cloud-amd64 6.1.
MODULES = ("hv_vmbus", "hv_storvsc", "hv_netvsc", "hv_utils", "hv_balloon", "hyperv-keyboard",
           "hyperv_fb", "vfat", "udf", "isofs", "sr_mod", "mana", "cifs", "pci-hyperv", "mlx4_en",
           "mlx5_core")  # fmt: skip
# Large, and nothing that a rule reads.
_LEFT_OUT = re.compile(r"\./usr/share/(doc|man|locale|lintian|bash-completion)/")
_LARGEST = 256 << 10


def fetch(folder: Path) -> list[Path]:
    """Download the packages, or skip the test with the reason."""
    tools = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if tools:
        pytest.skip(f"needs Debian's {' and '.join(tools)} to unpack its packages")
    done = subprocess.run(
        ["apt-get", "download", "-q", *PACKAGES],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"Debian's packages cannot be fetched: {done.stderr.strip()[-200:]}")
    return sorted(folder.glob("*.deb"))


def unpack(packages: list[Path]) -> Files:
    """Return the files of packages."""
    files: Files = {}
    for package in packages:
        data = subprocess.run(
            ["dpkg-deb", "--fsys-tarfile", package], capture_output=True, check=True
        ).stdout
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                path = member.name.removeprefix(".")
                if not path or path == "/" or _LEFT_OUT.match(member.name):
                    continue
                if path.startswith(("/lib/", "/bin/", "/sbin/")):
                    path = f"/usr{path}"  # as Debian 12 is installed
                if member.issym():
                    files[path] = Link(member.linkname)
                elif member.isdir():
                    files[f"{path.rstrip('/')}/"] = Node(mode=member.mode)
                elif member.isfile() and (source := archive.extractfile(member)) is not None:
                    content = source.read() if member.size <= _LARGEST else b"\x7fELF"
                    files[path] = Node(content, member.mode, member.uid, member.gid)
    return files


def _text(files: Files, path: str) -> str:
    node = files[path]
    assert isinstance(node, Node)
    return node.data.decode() if isinstance(node.data, bytes) else node.data


def install(files: Files) -> Files:
    """Do what the packages' scripts do: copies, accounts, links of units."""
    done = dict(files)
    for name in ("bin", "sbin", "lib"):
        done.pop(f"/{name}/", None)
        done[f"/{name}"] = Link(f"usr/{name}")
    for name in ("passwd", "group"):
        done[f"/etc/{name}"] = _text(files, f"/usr/share/base-passwd/{name}.master")
    accounts = str(done["/etc/passwd"]).split("\n")
    shadow = [f"{line.split(':')[0]}:*:19700:0:99999:7:::" for line in accounts if line]
    done["/etc/shadow"] = Node("\n".join(shadow) + "\n", 0o640, gid=42)
    done["/etc/ssh/sshd_config"] = _text(files, "/usr/share/openssh/sshd_config")
    done["/etc/chrony/chrony.conf"] = _text(files, "/usr/share/chrony/chrony.conf")
    done["/etc/cloud/cloud.cfg.d/90_dpkg.cfg"] = (
        "# to update this file, run dpkg-reconfigure cloud-init\n"
        "datasource_list: [ NoCloud, ConfigDrive, Azure, Ec2, None ]\n"
    )
    for path in files:
        found = re.fullmatch(r"/usr/lib/systemd/system/([\w@-]+\.(service|timer))", path)
        if not found or not isinstance(files[path], Node):
            continue
        for target in re.findall(r"^WantedBy=(.+)$", _text(files, path), re.MULTILINE):
            for one in target.split():
                done[f"/etc/systemd/system/{one}.wants/{found.group(1)}"] = Link(path)
    done |= {
        "/etc/fstab": "UUID=1111-aaaa / ext4 defaults,errors=remount-ro 0 1\n"
        "UUID=0F3E-1A2B /boot/efi vfat umask=0077 0 1\n",
        "/etc/hosts": "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n",
        "/etc/hostname": "localhost\n",
        "/etc/localtime": Link("/usr/share/zoneinfo/Etc/UTC"),
        "/etc/apt/sources.list": "deb http://deb.debian.org/debian bookworm main\n",
        "/etc/default/grub": "GRUB_DEFAULT=0\nGRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX_DEFAULT='quiet'\n",
        "/etc/machine-id": "",
        "/usr/bin/python3": Link("python3.11"),
        "/usr/bin/python3.11": b"\x7fELF",
        "/usr/sbin/chpasswd": b"\x7fELF",
        "/usr/sbin/sfdisk": b"\x7fELF",
        "/usr/sbin/mkfs.ext4": b"\x7fELF",
        "/usr/bin/ip": b"\x7fELF",
        "/root/": "",
        "/home/": "",
        "/var/lib/waagent/": "",
    }
    return done | kernel(MODULES, ("nvme", "nvme_core"), initramfs=MODULES, options="ro quiet")
