"""`vhdtool reg`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vhdtool.cli.files import ImageWord, VolumeName, look, look_at_guest
from vhdtool.cli.options import IgnoreBitmap, Parent, ParentDirs, choice

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = """\
Examples:
  vhdtool reg disk.vhd SYSTEM Setup
  vhdtool reg disk.vhd SYSTEM 'CurrentControlSet\\Services\\storvsc' Start
  vhdtool reg disk.vhd SOFTWARE 'Microsoft\\Windows NT\\CurrentVersion' ProductName
  vhdtool reg disk.vhd BCD Objects
  vhdtool reg disk.vhd /Users/Public/NTUSER.DAT Environment

Transaction logs of a hive are applied in memory. Keys may be written with slashes. A value alone
is printed as it is: text, the lines of a list, a number, binary data in hex; '' is the default
value. Exit status 3: there is no such hive, key or value, or it cannot be read."""


def run(
    *,
    image: ImageWord,
    hive: Annotated[
        str,
        typer.Argument(
            metavar="HIVE", help="SYSTEM, SOFTWARE, SAM, SECURITY, DEFAULT, BCD, or a path."
        ),
    ],
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key, from the root.")] = "",
    value: Annotated[
        str | None, typer.Argument(metavar="[VALUE]", help="The name of one value.")
    ] = None,
    volume: VolumeName = None,
    parent: Parent = None,
    parent_dir: ParentDirs = None,
    ignore_bitmap: IgnoreBitmap = False,
    output_format: Annotated[
        str, typer.Option("--format", metavar="text|json", help="How to print the answer.")
    ] = "text",
) -> int:
    """Show a key or a value of a Windows guest's registry."""
    output_format = choice("--format", output_format, ("text", "json"))

    from vhdtool.cli.files import split_image
    from vhdtool.guest.hives import show_key
    from vhdtool.report.registry_listing import key_lines, value_lines

    from_tree, from_guest = show_key(hive, key, value)
    _, named = split_image(image, volume)
    opening: dict[str, Any] = {
        "parent": parent,
        "parent_dir": parent_dir,
        "ignore_bitmap": ignore_bitmap,
    }
    answers: Iterator[Any] = (
        look_at_guest(image, from_guest, **opening)
        if named is None
        else look(image, volume, from_tree, **opening)
    )
    for answer in answers:
        if output_format == "json":
            print(json.dumps({"schema_version": 1, **answer}, indent=2))
        else:
            lines = key_lines(answer) if value is None else value_lines(answer["value"])
            print("\n".join(lines))
    return 0
