"""`vhdtool repair`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vhdtool.cli.guard import say
from vhdtool.errors import ConfigError
from vhdtool.text import printable

if TYPE_CHECKING:
    from vhdtool.disk.edits import Change
    from vhdtool.disk.journal import Journal
    from vhdtool.disk.repair import Plan

EXAMPLES = """\
Examples:
  vhdtool repair --dry-run disk.vhd       only show what is wrong and would change
  vhdtool repair disk.vhd                 mend it in place
  vhdtool repair -o mended.vhd disk.vhd   mend a copy

Mended are: a footer from its copy or the reverse; wrong checksums where the other fields are
plausible; bytes after the footer; a missing footer; footers of 511 bytes; on fixed and raw disks
a GPT backup (or primary) and, on fixed disks, a size that is no whole number of MiB; of dynamic
disks `vhdtool convert` writes grown ones. Damage of other kinds is refused with exit status 3.
Exit status 1: something stays wrong.

While an image is mended in place, DISK.vhdtool-journal lies beside it. After an interruption
run `repair` again to complete it, or with --undo to take it back."""

_SHOWN_BYTES = 16


def run(
    *,
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="The image to mend.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Only show what would change.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="COPY", help="Write a mended copy instead."),
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take back an interrupted repair.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing COPY.")] = False,
) -> int:
    """Mend an image where it is damaged in a way that is understood."""
    from vhdtool.disk.journal import find_journal, require_settled

    if undo and (dry_run or output is not None):
        raise ConfigError(
            f"--undo and {'--dry-run' if dry_run else '--output'} exclude each other",
            hint="--undo takes back what an interrupted repair changed in place",
        )
    journal = find_journal(image)
    if undo:
        return _undo(image, journal)
    if journal is not None:
        if dry_run or output is not None:
            require_settled(image)
        _resume(image, journal)

    from vhdtool.disk import repair

    planned = repair.plan(image)
    for change in planned.changes:
        _show(change)
    if planned.changes and not dry_run:
        _carry_out(planned, output, force)
    elif not planned.changes:
        if output is not None:
            raise ConfigError(f"{image}: there is nothing to mend, so no copy was written")
        if not planned.remaining:
            print("nothing to mend")
    for sentence in planned.remaining:
        say(f"not mended: {sentence}")
    return 1 if planned.remaining else 0


def _undo(image: Path, journal: Journal | None) -> int:
    from vhdtool.disk.journal import undo

    if journal is None:
        raise ConfigError(f"{image}: there is no interrupted repair to undo")
    undo(image, journal)
    print(f"{printable(str(image))}: as it was before the repair")
    return 0


def _resume(image: Path, journal: Journal) -> None:
    from vhdtool.disk.journal import resume

    resume(image, journal)
    print(f"{printable(str(image))}: completed the repair that was interrupted")


def _carry_out(planned: Plan, output: Path | None, force: bool) -> None:
    from vhdtool.disk import repair

    if output is None:
        repair.apply(planned)
    else:
        from vhdtool._native import Job
        from vhdtool.cli.progress import with_progress

        job = Job()
        with_progress(lambda: repair.write_copy(planned, output, replace=force, job=job), job)
    say(f"mended {output or planned.path}")


def _show(change: Change) -> None:
    """Print a change in words, and the first bytes that differ."""
    length = max(len(change.before), len(change.after))
    print(f"{change.offset:#x}  {change.what} ({length} bytes)")
    differing = next(
        (
            at
            for at, (old, new) in enumerate(zip(change.before, change.after, strict=False))
            if old != new
        ),
        min(len(change.before), len(change.after)),
    )
    for label, data in (("before", change.before), ("after", change.after)):
        shown = data[differing : differing + _SHOWN_BYTES].hex(" ") or "(end of file)"
        print(f"    {label:<6}  {change.offset + differing:#x}: {shown}")
