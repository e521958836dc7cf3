"""Whether what the firmware starts is signed."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from vhdtool.rules.guest.declare import GEN2, INFO, guest_rule
from vhdtool.rules.linux.boot import esp_folder
from vhdtool.rules.linux.hits import path_hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.guest import Guest
    from vhdtool.rules.model import Hit

_CERTIFICATES = 4  # the number of the data directory
_PE32_PLUS = 0x20B


def has_signature(head: bytes) -> bool | None:
    """Whether a program for UEFI carries a signature, by its first bytes; None of another file."""
    if head[:2] != b"MZ" or len(head) < 64:
        return None
    optional = struct.unpack_from("<I", head, 60)[0] + 24
    if len(head) < optional + 112 + 8 * (_CERTIFICATES + 1):
        return None
    if struct.unpack_from("<H", head, optional)[0] != _PE32_PLUS:
        return None
    if struct.unpack_from("<I", head, optional + 108)[0] <= _CERTIFICATES:
        return False
    _, size = struct.unpack_from("<II", head, optional + 112 + 8 * _CERTIFICATES)
    return bool(size)


@guest_rule("GEN208", "unsigned-loader", INFO, GEN2)
def unsigned_loader(guest: Guest) -> Iterator[Hit]:
    """
    ## What it checks
    The loader of a Linux in EFI/BOOT carries a signature. Whose it is, is not judged.

    ## Why it matters
    With Trusted Launch and Secure Boot, which is what new machines of generation 2 get unless they
    are asked for otherwise, the firmware does not start a loader without one.

    ## How to fix
    Install the distribution's signed shim, or create machines with security type Standard.

    ## Source
    - Azure, "Trusted launch for Azure virtual machines"; PE format, attribute certificate table
    - Information, not a warning, since no profile says that Trusted Launch is wanted.
    """
    linux = guest.linux
    folder = None if linux is None else esp_folder(linux)
    if linux is None or folder is None:
        return
    for name in ("BOOTX64.EFI", "BOOTAA64.EFI"):
        path = f"{folder}/EFI/BOOT/{name}"
        head = linux.tree.read(path, 4096)
        if head is not None and has_signature(head) is False:
            yield path_hit("the loader is not signed", path)
