"""Linux guests for tests of rules, made of a few files in memory.

    hits("LNX316", DEBIAN | grub("root=UUID=1 quiet"))
    passes("LNX316", DEBIAN | grub("root=UUID=1 console=ttyS0"))

A file's text may be a `Link` to another path, or a `Node` with an owner and a mode.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING

from vhdtool.guest.linux.guest import Device, LinuxGuest
from vhdtool.guest.memory import MemoryFileSystem
from vhdtool.guest.systems import SystemKind
from vhdtool.guest.tree import Tree
from vhdtool.rules.model import GuestLocation, Hit, Subject
from vhdtool.rules.registry import rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vhdtool.rules.model import Severity


@dataclass(frozen=True)
class Link:
    target: str


@dataclass(frozen=True)
class Node:
    data: str | bytes = ""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0


Files = dict[str, "str | bytes | Link | Node"]

DEBIAN: Files = {"/etc/os-release": 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian 12"\n'}
UBUNTU: Files = {"/etc/os-release": 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n'}
RHEL: Files = {"/etc/os-release": 'ID="rhel"\nID_LIKE="fedora"\nVERSION_ID="9.4"\n'}
RHEL6: Files = {"/etc/redhat-release": "Red Hat Enterprise Linux Server release 6.5 (Santiago)\n"}
ORACLE: Files = {"/etc/os-release": 'ID="ol"\nID_LIKE="fedora"\nVERSION_ID="9.4"\n'}
SLES: Files = {"/etc/os-release": 'ID="sles"\nID_LIKE="suse"\nVERSION_ID="15.6"\n'}
AZURE_LINUX: Files = {"/etc/os-release": 'ID=azurelinux\nVERSION_ID="3.0"\n'}
FLATCAR: Files = {"/etc/os-release": "ID=flatcar\nID_LIKE=coreos\nVERSION_ID=4000.0.0\n"}
AGENT: Files = {"/usr/sbin/waagent": "#!/usr/bin/python3\n"}
CLOUD_INIT: Files = {"/usr/bin/cloud-init": "#!/usr/bin/python3\n"}
ROOT_DEVICE = Device("ext4", uuid="1111-aaaa", label="root")
VERSION = "6.1.0-1-cloud-amd64"


def memory(files: Files) -> MemoryFileSystem:
    filesystem = MemoryFileSystem()
    merged = tuple(f"/{name}/" for name in ("bin", "sbin", "lib") if f"/{name}" in files)
    for name, data in files.items():
        path = f"/usr{name}" if name.startswith(merged) else name  # links of a merged /usr
        if isinstance(data, Link):
            filesystem.link(path, data.target)
        elif path.endswith("/"):
            node = data if isinstance(data, Node) else Node(mode=0o755)
            filesystem.folder(path.rstrip("/"), mode=node.mode)
        elif isinstance(data, Node):
            filesystem.add(path, data.data, mode=data.mode, uid=data.uid, gid=data.gid)
        else:
            filesystem.add(path, data)
    return filesystem


def guest(files: Files, devices: Sequence[Device] | None = None) -> LinuxGuest:
    return LinuxGuest(Tree(memory(files)), devices)


def judge(code: str, linux: LinuxGuest) -> list[Hit]:
    """Run one rule over a guest; what it says must be well formed and point at what it says."""
    rule = rules()[code]
    subject: object = linux
    if rule.subject is Subject.GUEST:
        subject = SimpleNamespace(
            linux=linux, windows=None, kind=SystemKind.LINUX, systems=(), volumes=()
        )
    found = list(rule.check(subject))
    for hit in found:
        assert not hit.message.endswith(".")
        assert "\n" not in hit.message
        if isinstance(hit.location, GuestLocation) and hit.evidence:
            data = linux.tree.read(hit.location.path) or b""
            if hit.location.line is not None:
                data = data.split(b"\n")[hit.location.line - 1]
            assert data.startswith(hit.evidence) or hit.evidence in data
            assert len(hit.evidence) <= 64
    return found


def hits(
    code: str,
    files: Files,
    *,
    devices: Sequence[Device] | None = None,
    count: int = 1,
    severity: Severity | None = None,
    says: str = "",
    path: str | None = None,
    line: int | None = None,
) -> None:
    """Expect findings of a rule: how many, how bad if not as the rule itself, what and where."""
    found = judge(code, guest(files, devices))
    assert len(found) == count, found
    assert found[0].severity is severity
    assert says in found[0].message
    if path is not None:
        assert isinstance(found[0].location, GuestLocation)
        assert found[0].location.path == path
        assert line is None or found[0].location.line == line


def passes(code: str, files: Files, *, devices: Sequence[Device] | None = None) -> None:
    """Expect silence of a rule."""
    assert judge(code, guest(files, devices)) == []


# --- pieces of guests


def grub(options: str, version: str = VERSION, *, files: bool = True) -> Files:
    """Return GRUB with one entry, and what that loads."""
    text = (
        f"set default=0\nmenuentry 'Linux' --class debian {{\n"
        f"\tlinux /boot/vmlinuz-{version} {options}\n\tinitrd /boot/initrd.img-{version}\n}}\n"
    )
    found: Files = {"/boot/grub/grub.cfg": text}
    if files:
        found[f"/boot/vmlinuz-{version}"] = "kernel"
        found[f"/boot/initrd.img-{version}"] = cpio("init")
    return found


def cpio(*names: str) -> bytes:
    """Return an archive of empty files."""
    pieces = []
    for name in (*names, "TRAILER!!!"):
        raw = name.encode() + b"\0"
        fields = [0] * 13
        fields[11] = len(raw)
        head = b"070701" + b"".join(b"%08X" % field for field in fields)
        pieces.append((head + raw).ljust(-(-(len(head) + len(raw)) // 4) * 4, b"\0"))
    return b"".join(pieces)


def kernel(
    modules: Sequence[str] = (),
    builtin: Sequence[str] = (),
    version: str = VERSION,
    initramfs: Sequence[str] | None = None,
    options: str = "console=ttyS0",
) -> Files:
    """Return a kernel with modules beside it and built in, and GRUB that starts it."""
    folder = f"/lib/modules/{version}"
    found = grub(f"root=UUID=1111-aaaa {options}", version)
    found[f"{folder}/modules.dep"] = "".join(f"kernel/drivers/{name}.ko:\n" for name in modules)
    found[f"{folder}/modules.builtin"] = "".join(f"kernel/{name}.ko\n" for name in builtin)
    if initramfs is not None:
        found[f"/boot/initrd.img-{version}"] = cpio(*(f"lib/{name}.ko" for name in initramfs))
    return found


def enabled(unit: str, target: str = "multi-user.target", text: str = "[Unit]\n") -> Files:
    """Return a unit that starts with the machine."""
    return {
        f"/usr/lib/systemd/system/{unit}": text,
        f"/etc/systemd/system/{target}.wants/{unit}": Link(f"/usr/lib/systemd/system/{unit}"),
    }


def waagent(text: str) -> Files:
    """Return the agent with its settings."""
    return AGENT | {"/etc/waagent.conf": text}


def cloud(text: str, name: str = "cloud.cfg") -> Files:
    """Return cloud-init with settings."""
    folder = "/etc/cloud" if name == "cloud.cfg" else "/etc/cloud/cloud.cfg.d"
    return CLOUD_INIT | {f"{folder}/{name}": text}


def dpkg(**versions: str) -> Files:
    """Return dpkg's database with packages, `_` in their names for `-`."""
    blocks = [
        f"Package: {name.replace('_', '-')}\nStatus: install ok installed\nVersion: {version}\n"
        for name, version in versions.items()
    ]
    return {"/var/lib/dpkg/status": "\n".join(blocks)}


def rpm_ndb(**versions: str) -> Files:
    """Return rpm's database with packages."""
    slots, blobs = b"", b""
    for index, (name, version) in enumerate(versions.items(), 1):
        texts = name.encode() + b"\0" + version.encode() + b"\0" + b"1\0"
        entries = [(1000, 0), (1001, len(name) + 1), (1002, len(name) + len(version) + 2)]
        blob = struct.pack(">II", len(entries), len(texts))
        blob += b"".join(struct.pack(">IIII", tag, 6, at, 1) for tag, at in entries) + texts
        start = 4096 + len(blobs)
        piece = struct.pack("<4sIII", b"BlbS", index, 1, len(blob)) + blob
        piece = piece.ljust(-(-(len(piece) + 12) // 16) * 16, b"\0")
        slots += struct.pack("<4sIII", b"Slot", index, start // 16, len(piece) // 16)
        blobs += piece
    free = b"".join(
        struct.pack("<4sIII", b"Slot", 0, 0, 0) for _ in range((4064 - len(slots)) // 16)
    )
    head = struct.pack("<4sIII", b"RpmP", 0, 1, 1).ljust(32, b"\0")
    return {"/usr/lib/sysimage/rpm/Packages.db": head + slots + free + blobs}


def user(name: str = "joe", uid: int = 1000, field: str = "!", home: str | None = None) -> Files:
    """Return root and one account."""
    home = home or f"/home/{name}"
    return {
        "/etc/passwd": f"root:x:0:0:root:/root:/bin/bash\n{name}:x:{uid}:{uid}::{home}:/bin/bash\n",
        "/etc/shadow": f"root:*:19000:0:99999:7:::\n{name}:{field}:19000:0:99999:7:::\n",
        "/root/": "",
        f"{home}/": "",
    }


def elf(bits: int = 64, machine: int = 62) -> bytes:
    return (
        b"\x7fELF"
        + bytes((bits // 32, 1, 1))
        + bytes(9)
        + struct.pack("<HH", 2, machine)
        + bytes(44)
    )


def pe(machine: int = 0x8664, *, signed: bool = False) -> bytes:
    """Return the head of a program for UEFI."""
    optional = struct.pack("<H", 0x20B).ljust(108, b"\0") + struct.pack("<I", 16)
    directories = bytearray(128)
    if signed:
        directories[32:40] = struct.pack("<II", 4096, 512)
    coff = struct.pack("<HHIIIHH", machine, 1, 0, 0, 0, 240, 0x22)
    return (
        b"MZ".ljust(60, b"\0") + struct.pack("<I", 64) + b"PE\0\0" + coff + optional + directories
    )
