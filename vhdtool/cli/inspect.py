"""`vhdtool inspect`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vhdtool.cli.options import IgnoreBitmap, Parent, ParentDirs, choice

if TYPE_CHECKING:
    from vhdtool.guest.guest import Guest
    from vhdtool.guest.worker import Send

EXAMPLES = """\
Examples:
  vhdtool inspect disk.vhd
  vhdtool inspect --format json disk.vhd | jq '.product, .verdict.state'

The verdict says whether new machines can be made of the system: generalized, specialized, unclear
or inconsistent, with what speaks for and against it. Exit status 3: something that belongs to the
system could not be read; what is known is printed."""


def run(
    *,
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="The image to look at.")],
    parent: Parent = None,
    parent_dir: ParentDirs = None,
    ignore_bitmap: IgnoreBitmap = False,
    output_format: Annotated[
        str, typer.Option("--format", metavar="text|json", help="How to print the answer.")
    ] = "text",
) -> int:
    """Tell what system is on a disk, how it boots, and whether it is generalized."""
    output_format = choice("--format", output_format, ("text", "json"))

    from vhdtool.disk.image import open_image
    from vhdtool.disk.partitions import read_partitions
    from vhdtool.guest.browse import browse_guest
    from vhdtool.report.inspection import describe, with_firmware
    from vhdtool.report.sections import render_text
    from vhdtool.text import printable

    with open_image(
        image, parent=parent, parent_dirs=parent_dir or (), ignore_bitmap=ignore_bitmap
    ) as opened:
        answers: list[dict[str, Any]] = list(browse_guest(opened, _send_summary))
        plain = with_firmware(answers[-1], read_partitions(opened))
    if output_format == "json":
        head = {"schema_version": 1, "image": printable(str(image))}
        print(json.dumps({**head, **plain}, indent=2))
    else:
        print("\n".join(render_text(list(describe(plain)))))
    return 3 if plain["gaps"] else 0


def _send_summary(guest: Guest, send: Send) -> None:
    from vhdtool.guest.summary import plain_summary

    send(plain_summary(guest))
