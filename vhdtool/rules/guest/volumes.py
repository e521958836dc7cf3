"""The state that file systems of Linux were left in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.disk.facts import Signature
from vhdtool.rules.guest.declare import WARNING, guest_rule
from vhdtool.rules.model import DiskLocation, Hit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.guest import Guest
    from vhdtool.guest.volumes import DiskVolume

_SUPERBLOCKS = {Signature.EXT: (1024, 1024), Signature.XFS: (0, 512)}  # offset, length; bytes


def _place(volume: DiskVolume, signature: Signature) -> DiskLocation | None:
    """Return where the superblock is; None where the volume is no partition."""
    if volume.partition is None:
        return None
    offset, length = _SUPERBLOCKS[signature]
    return DiskLocation(volume.partition.offset + offset, length)


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
        if volume.signature is not Signature.EXT or volume.filesystem is None:
            continue
        known = volume.filesystem.volume
        faults = ["it was not unmounted"] if known.clean is False else []
        if known.errors:
            faults.append("errors are noted in it")
        if faults:
            message = f"{volume.name} is not clean: {' and '.join(faults)}"
            yield Hit(message, _place(volume, Signature.EXT))


@guest_rule("DSK130", "xfs-log-not-clean", WARNING)
def xfs_log_not_clean(guest: Guest) -> Iterator[Hit]:
    """
    ## What it checks
    The log of an XFS ends with the record of an unmount.

    ## Why it matters
    The disk was copied while it was in use, or the machine was switched off: the latest changes may
    be missing. Linux replays the log at the next start.

    ## How to fix
    Shut the machine down and copy its disk again; or mount and unmount the volume once.

    ## Source
    - XFS Algorithms and Data Structures, journaling log; xfs_repair(8) refuses a dirty log
    """
    for volume in guest.volumes:
        if volume.signature is not Signature.XFS or volume.filesystem is None:
            continue
        if volume.filesystem.volume.clean is False:
            message = f"{volume.name} is not clean: its log has changes that were not replayed"
            yield Hit(message, _place(volume, Signature.XFS))
