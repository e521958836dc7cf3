"""`vhdtool compare`."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vhdtool.cli.options import IgnoreBitmap, ParentDirs, Progress, TextOrJson, among, choice
from vhdtool.errors import ConfigError

if TYPE_CHECKING:
    from vhdtool.disk.compare import Comparison

EXAMPLES = """\
Examples:
  vhdtool compare disk.vhdx disk.vhd
  vhdtool compare --pad disk.raw disk.vhd      the VHD may be longer by zeros
  vhdtool compare --with pyvhdi disk.vhd       one image, read by vhdtool and by libvhdi
  vhdtool compare --with pyvhdi a.vhd b.vhd    A read by vhdtool, B by libvhdi

What is compared is what a guest sees, whatever the formats. Exit status 0: equal; 1: different.
Disks of different sizes are different, unless --pad is given and the rest is zeros."""


def run(
    *,
    a: Annotated[Path, typer.Argument(metavar="A", help="An image.")],
    b: Annotated[
        Path | None,
        typer.Argument(metavar="B", help="Another; A itself by default with --with."),
    ] = None,
    second_reader: Annotated[
        str | None,
        typer.Option(
            "--with",
            metavar="pyvhdi",
            autocompletion=among("pyvhdi"),
            help="Read B by another library.",
        ),
    ] = None,
    pad: Annotated[
        bool, typer.Option("--pad", help="Take what is past the shorter disk's end for zeros.")
    ] = False,
    parent_dir: ParentDirs = None,
    ignore_bitmap: IgnoreBitmap = False,
    output_format: TextOrJson = "text",
    progress: Progress = "auto",
) -> int:
    """Tell whether two images hold the same disk."""
    from vhdtool.cli.progress import MODES, with_progress

    output_format = choice("--format", output_format, ("text", "json"))
    mode = choice("--progress", progress, MODES)
    if second_reader is not None:
        choice("--with", second_reader, ("pyvhdi",))
    elif b is None:
        raise ConfigError("no B to compare with", hint="name a second image, or use --with pyvhdi")

    from vhdtool._native import Job
    from vhdtool.disk.compare import compare, open_with_libvhdi
    from vhdtool.disk.image import open_image

    with ExitStack() as stack:
        first, second = (
            stack.enter_context(
                open_image(path, parent_dirs=parent_dir or (), ignore_bitmap=ignore_bitmap)
            )
            for path in (a, b or a)
        )
        ours = first.native
        theirs = second.native if second_reader is None else open_with_libvhdi(second)
        job = Job()
        found = with_progress(lambda: compare(ours, theirs, pad=pad, job=job), job, mode)
    if output_format == "json":
        _print_json(found)
    else:
        _print_text(found)
    return 0 if found.equal else 1


def _print_json(found: Comparison) -> None:
    answer = {
        "schema_version": 1,
        "equal": found.equal,
        "size_a": found.sizes[0],
        "size_b": found.sizes[1],
        "padded": found.padded,
        "first_difference": found.first_difference,
        "different_bytes": found.different_bytes,
    }
    print(json.dumps(answer, indent=2))


def _print_text(found: Comparison) -> None:
    from vhdtool.units import human_size

    size_a, size_b = found.sizes
    if size_a != size_b:
        print(f"sizes differ: A has {human_size(size_a)}, B has {human_size(size_b)}")
    if found.first_difference is not None:
        over = "" if size_a == size_b or found.padded else " of their common length"
        print(
            f"different: {found.different_bytes} bytes{over}, "
            f"the first at offset {found.first_difference:#x}"
        )
    elif size_a == size_b:
        print(f"equal: {human_size(size_a)}")
    elif found.padded:
        print("equal, and zeros past the end of the shorter")
    else:
        print(f"equal up to the end of the shorter, {human_size(min(size_a, size_b))}")
