"""`vhdtool map`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vhdtool.cli.options import IgnoreBitmap, Parent, ParentDirs, TextOrJson, choice
from vhdtool.text import printable

if TYPE_CHECKING:
    from vhdtool.disk.image import Image

EXAMPLES = """\
Examples:
  vhdtool map disk.vhd                    a picture, totals and the first extents
  vhdtool map --limit 0 disk.vhd          the picture and totals only
  vhdtool map --format json disk.vhd      every extent: offset and length in bytes, kind

Data is stored somewhere, and may still be zeros; zero is so by the word of the image's tables;
a hole is stored nowhere in the chain and reads as zero."""

_KINDS = {0: "data", 1: "zero", 2: "hole"}


def run(
    *,
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="The image to look at.")],
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", help="List at most N extents as text.")
    ] = 16,
    parent: Parent = None,
    parent_dir: ParentDirs = None,
    ignore_bitmap: IgnoreBitmap = False,
    output_format: TextOrJson = "text",
) -> int:
    """Show where an image holds data."""
    output_format = choice("--format", output_format, ("text", "json"))

    from vhdtool.disk.image import open_image

    with open_image(
        image, parent=parent, parent_dirs=parent_dir or (), ignore_bitmap=ignore_bitmap
    ) as opened:
        if output_format == "json":
            _print_json(opened)
        else:
            _print_text(opened, limit)
    return 0


def _print_json(image: Image) -> None:
    """Print extents as they come: there may be millions."""
    from vhdtool.report.picture import coalesced

    totals = dict.fromkeys(_KINDS.values(), 0)
    head = {
        "schema_version": 1,
        "image": printable(str(image.path)),
        "format": str(image.format),
        "size": image.size,
    }
    print(json.dumps(head)[:-1] + ', "extents": [')
    separator = ""
    for extent in coalesced(image.extents()):
        kind = _KINDS[extent.kind]
        totals[kind] += extent.length
        row = {"offset": extent.offset, "length": extent.length, "kind": kind}
        print(separator + json.dumps(row), end="")
        separator = ",\n"
    print(f'\n], "totals": {json.dumps(totals)}}}')


def _print_text(image: Image, limit: int) -> None:
    from vhdtool.report.picture import LEGEND, Picture, coalesced
    from vhdtool.units import human_size

    picture = Picture(image.size, shutil.get_terminal_size().columns)
    count = 0
    listed: list[str] = []
    for extent in coalesced(image.extents()):
        picture.add(extent)
        count += 1
        if count <= limit:
            kind = _KINDS[extent.kind]
            listed.append(f"{extent.offset:>#16x}  {extent.length:>16}  {kind}")
    print(f"{printable(str(image.path))}: {image.format}, {human_size(image.size)}\n")
    for row in picture.rows():
        print(row)
    print(f"\n{LEGEND}; {picture.scale()}\n")
    for extent_kind, total in picture.totals.items():
        share = total / image.size if image.size else 0
        print(f"{_KINDS[extent_kind]:<6}{share:>6.1%}  {human_size(total)}")
    if listed:
        print(f"\n{'offset':>16}  {'length':>16}  kind")
        print("\n".join(listed))
    if count > len(listed):
        print(f"{count - len(listed)} more extents: --limit {count} or --format json lists them")
