"""Portable Executable files: the machine that they are for, and their version."""

from __future__ import annotations

import struct

_AMD64, _ARM64, _I386, _ARM = 0x8664, 0xAA64, 0x014C, 0x01C4
MACHINES = {_AMD64: "x86-64", _ARM64: "aarch64", _I386: "i686", _ARM: "arm"}
# VS_FIXEDFILEINFO begins with its signature and the version of the structure.
_FIXED_INFO = struct.pack("<II", 0xFEEF04BD, 0x00010000)


def machine(data: bytes) -> str | None:
    """Return the architecture that a file is for; None where it is no PE file or of another."""
    if len(data) < 0x40 or not data.startswith(b"MZ"):
        return None
    header = int.from_bytes(data[0x3C:0x40], "little")
    if data[header : header + 4] != b"PE\0\0":
        return None
    return MACHINES.get(int.from_bytes(data[header + 4 : header + 6], "little"))


def file_version(data: bytes) -> tuple[int, int, int, int] | None:
    """Return the file version of the version resource; None where there is none."""
    at = data.find(_FIXED_INFO)
    if at < 0 or len(data) < at + 16:
        return None
    high, low = struct.unpack_from("<II", data, at + 8)
    return high >> 16, high & 0xFFFF, low >> 16, low & 0xFFFF
