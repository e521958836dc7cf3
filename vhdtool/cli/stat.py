"""`vhdtool stat`."""

from __future__ import annotations

from typing import Annotated

import typer

from vhdtool.cli.files import ImageWord, VolumeName, look
from vhdtool.cli.options import IgnoreBitmap, Parent, ParentDirs, choice

EXAMPLES = """\
Examples:
  vhdtool stat disk.vhd /etc/os-release          the symbolic link itself
  vhdtool stat -L disk.vhd /etc/os-release       what it leads to
  vhdtool stat --format json disk.vhd:2 /EFI

Times are UTC. Exit status 3: there is no such file, or it cannot be read."""


def run(
    *,
    image: ImageWord,
    path: Annotated[str, typer.Argument(metavar="PATH", help="A file of the guest.")],
    follow: Annotated[
        bool, typer.Option("-L", "--dereference", help="Follow a symbolic link at the end.")
    ] = False,
    volume: VolumeName = None,
    parent: Parent = None,
    parent_dir: ParentDirs = None,
    ignore_bitmap: IgnoreBitmap = False,
    output_format: Annotated[
        str, typer.Option("--format", metavar="text|json", help="How to print the answer.")
    ] = "text",
) -> int:
    """Show what a file system says of a file of the guest."""
    output_format = choice("--format", output_format, ("text", "json"))

    from vhdtool.guest.browse import describe_file
    from vhdtool.report.listing import describe
    from vhdtool.report.sections import render_json, render_text

    for place, kind, row in look(
        image,
        volume,
        describe_file(path, follow=follow),
        parent=parent,
        parent_dir=parent_dir,
        ignore_bitmap=ignore_bitmap,
    ):
        section = describe(place, kind, row)
        if output_format == "json":
            print(render_json([section]))
        else:
            print("\n".join(render_text([section])))
    return 0
