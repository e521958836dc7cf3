"""`vhdtool info`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vhdtool.cli.options import IgnoreBitmap, Parent, ParentDirs, TextOrJson, choice

if TYPE_CHECKING:
    from vhdtool.disk.facts import DiskFacts
    from vhdtool.report.describe import Link

EXAMPLES = """\
Examples:
  vhdtool info disk.vhd
  vhdtool info --format json disk.vhdx | jq '.sections[] | select(.title == "footer")'

A field that is not what it should be is followed by `<- expected` and the right value. Exit
status 3: the image is so damaged that its disk cannot be read; what can be read is shown."""


def run(
    *,
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="The image to look at.")],
    parent: Parent = None,
    parent_dir: ParentDirs = None,
    ignore_bitmap: IgnoreBitmap = False,
    output_format: TextOrJson = "text",
) -> int:
    """Show every structure of an image: footers, headers, tables, partitions, parents."""
    output_format = choice("--format", output_format, ("text", "json"))

    from vhdtool.disk.collect import collect_facts
    from vhdtool.report.describe import describe
    from vhdtool.report.sections import render_json, render_text

    folders = parent_dir or ()
    facts = collect_facts(image, parent=parent, parent_dirs=folders, ignore_bitmap=ignore_bitmap)
    sections = describe(facts, _chain(facts, parent, parent_dir or []))
    if output_format == "json":
        print(render_json(sections))
    else:
        for line in render_text(sections):
            print(line)
    return 0 if facts.open_error is None else 3


def _chain(facts: DiskFacts, parent: Path | None, folders: list[Path]) -> list[Link]:
    if facts.open_error is not None:
        return []
    from vhdtool.disk.image import open_image

    links: list[Link] = []
    with open_image(facts.path, parent=parent, parent_dirs=folders) as image:
        link = image
        while True:
            links.append((link.path, str(link.format), link.size))
            if link.parent is None:
                return links
            link = link.parent
