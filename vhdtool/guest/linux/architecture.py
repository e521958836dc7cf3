"""What processor a guest's programs are made for, by the header of one of them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vhdtool.guest.linux.files import Files

_PROGRAMS = (
    "/usr/lib/systemd/systemd",
    "/lib/systemd/systemd",
    "/sbin/init",
    "/usr/sbin/init",
    "/bin/busybox",
    "/bin/sh",
    "/usr/bin/bash",
    "/bin/ls",
    "/usr/bin/env",
)
_MACHINES = {3: "i386", 62: "x86_64", 183: "aarch64", 40: "arm", 21: "ppc64", 22: "s390x",
             243: "riscv64"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Program:
    """An ELF program: its path, its header, the width of its addresses in bits, its machine."""

    path: str
    header: bytes
    bits: int
    machine: str


def read_architecture(files: Files) -> Program | None:
    """Look at the first program that is there; None where none is an ELF file."""
    for path in _PROGRAMS:
        head = files.tree.read(path, 64)
        if head is None or len(head) < 20 or head[:4] != b"\x7fELF":
            continue
        order = ">" if head[5] == 2 else "<"
        machine = struct.unpack_from(f"{order}H", head, 18)[0]
        bits = {1: 32, 2: 64}.get(head[4], 0)
        return Program(path, head[:20], bits, _MACHINES.get(machine, f"machine {machine}"))
    return None
