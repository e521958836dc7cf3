"""`vhdtool ls`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from vhdtool.cli.files import ImageWord, VolumeName, look
from vhdtool.cli.options import IgnoreBitmap, Parent, ParentDirs, choice

EXAMPLES = """\
Examples:
  vhdtool ls disk.vhd /etc                  the system's own tree, with what it mounts
  vhdtool ls -l disk.vhd:2 /                the second partition
  vhdtool ls --fs rootvg/homelv disk.vhd /
  vhdtool ls --format json disk.vhd /boot

Paths have slashes, on Windows disks too: /Windows/System32. Symbolic links stay inside the guest.
Characters that could act on a terminal are shown as \\xNN. Exit status 3: there is no such file,
or it cannot be read."""


def run(
    *,
    image: ImageWord,
    path: Annotated[str, typer.Argument(metavar="PATH", help="A folder or a file.")] = "/",
    long: Annotated[
        bool, typer.Option("-l", "--long", help="Show kind, mode, owner, size and time.")
    ] = False,
    volume: VolumeName = None,
    parent: Parent = None,
    parent_dir: ParentDirs = None,
    ignore_bitmap: IgnoreBitmap = False,
    output_format: Annotated[
        str, typer.Option("--format", metavar="text|json", help="How to print the answer.")
    ] = "text",
) -> int:
    """List a folder of the guest."""
    output_format = choice("--format", output_format, ("text", "json"))

    from vhdtool.guest.browse import list_folder

    rows: list[list[Any]] = []
    for batch in look(
        image,
        volume,
        list_folder(path),
        parent=parent,
        parent_dir=parent_dir,
        ignore_bitmap=ignore_bitmap,
    ):
        rows += batch
    from vhdtool.report.listing import as_json, long_lines, short_lines

    if output_format == "json":
        files = [as_json(row) for row in rows]
        print(json.dumps({"schema_version": 1, "files": files}, indent=2))
    else:
        for line in long_lines(rows) if long else short_lines(rows):
            print(line)
    return 0
