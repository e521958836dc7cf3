"""`vhdtool cat`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from vhdtool.cli.files import ImageWord, VolumeName, look
from vhdtool.cli.options import IgnoreBitmap, Parent, ParentDirs

EXAMPLES = """\
Examples:
  vhdtool cat disk.vhd /etc/fstab
  vhdtool cat disk.vhd:1 /EFI/BOOT/BOOTX64.EFI > BOOTX64.EFI
  vhdtool cat --limit 4KiB disk.vhd /var/log/syslog

The bytes are written as they are, control characters too. Exit status 3: there is no such file, or
it cannot be read to its end; what was read before is written."""


def run(
    *,
    image: ImageWord,
    path: Annotated[str, typer.Argument(metavar="PATH", help="A regular file of the guest.")],
    limit: Annotated[
        str | None, typer.Option("--limit", metavar="SIZE", help="Write at most so many bytes.")
    ] = None,
    volume: VolumeName = None,
    parent: Parent = None,
    parent_dir: ParentDirs = None,
    ignore_bitmap: IgnoreBitmap = False,
) -> int:
    """Write the bytes of a file of the guest to stdout."""
    from vhdtool.guest.browse import copy_file
    from vhdtool.guest.worker import Limits
    from vhdtool.units import parse_size

    most = None if limit is None else parse_size(limit)
    for piece in look(
        image,
        volume,
        copy_file(path, most),
        parent=parent,
        parent_dir=parent_dir,
        ignore_bitmap=ignore_bitmap,
        limits=Limits(whole=False),
    ):
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    return 0
