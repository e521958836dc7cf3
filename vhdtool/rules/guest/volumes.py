"""The state that file systems were left in."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from vhdtool.disk.facts import Signature
from vhdtool.rules.guest.declare import WARNING, guest_rule
from vhdtool.rules.model import DiskLocation, Hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.guest import Guest

_SUPERBLOCK = 1024
_STATE, _INCOMPATIBLE = 0x3A, 0x60
_VALID, _ERRORS = 1, 2
_NEEDS_RECOVERY = 4


@guest_rule("DSK129", "ext-not-clean", WARNING)
def ext_not_clean(guest: Guest) -> Iterator[Hit]:
    """
    ## What it checks
    ext2, ext3 and ext4 were unmounted, and no errors are noted in their superblocks.

    ## Why it matters
    The disk was copied while it was in use, or the machine was switched off: the latest changes may
    be missing. Errors are repaired at the next start, or stop it.

    ## How to fix
    `e2fsck -f`, or shut the machine down and copy its disk again.

    ## Source
    - Linux kernel, filesystems/ext4/super.rst: s_state, s_feature_incompat
    """
    for volume in guest.volumes:
        if volume.signature is not Signature.EXT or volume.disk is None:
            continue
        block = volume.disk.read_at(_SUPERBLOCK, 256)
        if len(block) < 256:
            continue
        (state,) = struct.unpack_from("<H", block, _STATE)
        (features,) = struct.unpack_from("<I", block, _INCOMPATIBLE)
        faults = []
        if features & _NEEDS_RECOVERY:
            faults.append("its journal was not replayed")
        elif not state & _VALID:
            faults.append("it was not unmounted")
        if state & _ERRORS:
            faults.append("it has errors")
        if faults:
            place = None
            if volume.partition is not None:
                place = DiskLocation(volume.partition.offset + _SUPERBLOCK + _STATE, 2)
            evidence = block[_STATE : _STATE + 2] if place is not None else b""
            yield Hit(f"{volume.name} is not clean: {' and '.join(faults)}", place, evidence)
