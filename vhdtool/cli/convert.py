"""`vhdtool convert`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vhdtool.cli.guard import say
from vhdtool.cli.options import IgnoreBitmap, Parent, ParentDirs, Progress, among, choice
from vhdtool.errors import ConfigError

if TYPE_CHECKING:
    from uuid import UUID

    from vhdtool.disk.convert import Conversion

EXAMPLES = """\
Examples:
  vhdtool convert disk.vhdx disk.vhd                 a fixed VHD of whole MiB, ready for Azure
  vhdtool convert --verify child.vhd flat.vhd        merge a chain, and read the result back
  vhdtool convert --to dynamic disk.raw disk.vhd
  vhdtool convert --to raw disk.vhd disk.raw         the disk's own bytes, nothing added
  vhdtool convert disk.raw.xz disk.vhd               gzip, xz and zstd are seen by content
  ssh builder cat disk.raw | vhdtool convert --size 30GiB - disk.vhd
  vhdtool convert --in-place disk.raw                only append what makes it a fixed VHD

A disk grows to the next multiple of --align if it is none, 1 MiB by default, and its GPT backup
moves to the new end; it never shrinks. --to raw does not grow unless --align says so.
With --uuid and --timestamp (or SOURCE_DATE_EPOCH) the same disk gives the same bytes."""

_TARGETS = ("fixed", "dynamic", "raw")


def run(
    *,
    source: Annotated[str, typer.Argument(metavar="SRC", help="The image, or - for stdin.")],
    destination: Annotated[
        Path | None, typer.Argument(metavar="DST", help="The file to write.", show_default=False)
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="fixed|dynamic|raw",
            autocompletion=among("fixed", "dynamic", "raw"),
            help="What to write.  [default: fixed]",
        ),
    ] = None,
    fixed: Annotated[bool, typer.Option("--fixed", help="The same as --to fixed.")] = False,
    align: Annotated[
        str | None,
        typer.Option("--align", metavar="SIZE", help="Grow to a multiple of this, such as 1MiB."),
    ] = None,
    no_align: Annotated[
        bool, typer.Option("--no-align", help="Keep the size as it is, up to whole sectors.")
    ] = False,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Make the raw disk SRC itself a fixed VHD.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace an existing DST.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read DST back from storage and compare checksums.")
    ] = False,
    size: Annotated[
        str | None,
        typer.Option("--size", metavar="SIZE", help="What the size of a stream's disk must be."),
    ] = None,
    uuid: Annotated[
        str | None, typer.Option("--uuid", metavar="UUID", help="Identity of the new disk.")
    ] = None,
    timestamp: Annotated[
        str | None,
        typer.Option(
            "--timestamp", metavar="TIME", help="Time in the footer: ISO 8601 or Unix seconds."
        ),
    ] = None,
    parent: Parent = None,
    parent_dir: ParentDirs = None,
    ignore_bitmap: IgnoreBitmap = False,
    threads: Annotated[
        int | None, typer.Option("--threads", metavar="N", help="Copy with N threads.")
    ] = None,
    progress: Progress = "auto",
) -> int:
    """Write any image as a fixed VHD for Azure, or as a dynamic VHD or raw disk."""
    from vhdtool.cli.progress import MODES, with_progress
    from vhdtool.disk.timestamp import parse_timestamp
    from vhdtool.units import parse_size

    target = _target(to, fixed)
    alignment = _alignment(align, no_align)
    identity = None if uuid is None else _uuid(uuid)
    moment = None if timestamp is None else parse_timestamp(timestamp)
    mode = choice("--progress", progress, MODES)
    if threads == 0:
        raise ConfigError("--threads must be at least 1")
    if in_place:
        _require_in_place(target, source, destination)
        _refuse_without_copy(
            force=force,
            verify=verify,
            size=size,
            parent=parent,
            parent_dir=parent_dir,
            ignore_bitmap=ignore_bitmap,
            threads=threads,
        )
        from vhdtool.disk.convert import convert_in_place

        _summarize(convert_in_place(source, align=alignment, unique_id=identity, timestamp=moment))
        return 0
    if destination is None:
        raise ConfigError("no DST", hint="name the file to write, or use --in-place")

    from vhdtool._native import Job
    from vhdtool.disk.convert import convert

    job = Job()
    output = destination
    expected = None if size is None else parse_size(size)
    done = with_progress(
        lambda: convert(
            source,
            output,
            target=target,
            align=alignment,
            unique_id=identity,
            timestamp=moment,
            parent=parent,
            parent_dirs=parent_dir or (),
            ignore_bitmap=ignore_bitmap,
            size=expected,
            replace=force,
            verify=verify,
            threads=threads,
            job=job,
        ),
        job,
        mode,
    )
    if mode == "json":
        return 0
    _summarize(done, verified=verify)
    return 0


def _target(to: str | None, fixed: bool) -> str:
    target = "fixed" if to is None else choice("--to", to, _TARGETS)
    if fixed and target != "fixed":
        raise ConfigError(f"--fixed and --to {target} exclude each other")
    return target


def _alignment(align: str | None, no_align: bool) -> int | None:
    if align is not None and no_align:
        raise ConfigError("--align and --no-align exclude each other")
    if no_align:
        return 1
    if align is None:
        return None
    from vhdtool.units import parse_size

    return parse_size(align)


def _uuid(text: str) -> UUID:
    from uuid import UUID

    try:
        return UUID(text)
    except ValueError:
        raise ConfigError(
            f"--uuid: not a UUID: {text!r}", hint="`uuidgen` prints a new one"
        ) from None


def _require_in_place(target: str, source: str, destination: Path | None) -> None:
    if destination is not None:
        raise ConfigError("--in-place takes no DST: SRC itself changes")
    if target != "fixed":
        raise ConfigError("--in-place makes a fixed VHD only")
    if source == "-":
        raise ConfigError("standard input cannot change in place")


def _refuse_without_copy(**options: object) -> None:
    """Refuse options that mean nothing where nothing is copied."""
    for name, value in options.items():
        if value:
            raise ConfigError(f"--{name.replace('_', '-')} and --in-place exclude each other")


def _summarize(done: Conversion, *, verified: bool = False) -> None:
    from vhdtool.units import human_size, short_size

    for note in done.notes:
        say(note)
    kind = "raw disk" if done.target == "raw" else f"{done.target} VHD"
    ending = ", verified" if verified else ""
    say(
        f"wrote {done.path}: {kind} of {human_size(done.size)}, "
        f"{short_size(done.written_bytes)} of data{ending}"
    )
