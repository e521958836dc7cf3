"""Write any image as a new VHD or raw disk: sparse, whole or not at all, never smaller.

Everything that can be refused is refused before the first byte is written.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from vhdtool import _native
from vhdtool.disk.create import new_footer
from vhdtool.disk.image import open_image
from vhdtool.disk.journal import require_settled
from vhdtool.disk.output import require_new, require_other_file, writing
from vhdtool.disk.relocate import Relocation, relocate
from vhdtool.disk.timestamp import iso, now
from vhdtool.errors import ConfigError, UnsupportedImage
from vhdtool.formats.vhd import DiskType
from vhdtool.units import MIB, SECTOR_SIZE, align_up, human_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from os import PathLike
    from uuid import UUID

    from vhdtool.disk.image import Image
    from vhdtool.disk.relocate import Reader
    from vhdtool.formats.vhd import Footer

STDIN = "-"


class Target(StrEnum):
    """What is written."""

    FIXED = "fixed"
    DYNAMIC = "dynamic"
    RAW = "raw"


@dataclass(frozen=True, slots=True)
class Request:
    """How a disk is to be written; see `convert`."""

    target: Target = Target.FIXED
    align: int = MIB
    unique_id: UUID | None = None
    timestamp: int | None = None
    replace: bool = False
    verify: bool = False
    threads: int | None = None

    def size_for(self, size: int) -> int:
        """Return the virtual size to write for a source of `size` bytes: never less."""
        grown = align_up(size, self.align)
        return grown if self.target is Target.RAW else align_up(grown, SECTOR_SIZE)

    def footer(self, size: int) -> Footer | None:
        """Return the footer of the new disk, None for a raw one; ConfigError if it is too large."""
        if self.target is Target.RAW:
            return None
        return new_footer(
            size,
            disk_type=DiskType.FIXED if self.target is Target.FIXED else DiskType.DYNAMIC,
            unique_id=self.unique_id or uuid4(),
            timestamp=now() if self.timestamp is None else self.timestamp,
        )


@dataclass(frozen=True, slots=True)
class Conversion:
    """What was written.

    Attributes:
        path: The new file.
        target: What it is.
        size: Its virtual size in bytes.
        source_size: The virtual size of the source.
        written_bytes: Data that was written; the rest is holes.
        notes: What the user should know, one sentence each.
    """

    path: Path
    target: Target
    size: int
    source_size: int
    written_bytes: int
    notes: tuple[str, ...] = ()


def convert(
    source: str | PathLike[str],
    destination: str | PathLike[str],
    *,
    target: Target | str = Target.FIXED,
    align: int | None = None,
    unique_id: UUID | None = None,
    timestamp: int | None = None,
    parent: str | PathLike[str] | None = None,
    parent_dirs: Iterable[str | PathLike[str]] = (),
    ignore_bitmap: bool = False,
    size: int | None = None,
    replace: bool = False,
    verify: bool = False,
    threads: int | None = None,
    job: _native.Job | None = None,
) -> Conversion:
    """Convert an image of any kind, or a stream of one.

    Args:
        source: The image, also inside gzip, xz or zstd; `-` is standard input.
        destination: The file to write.
        target: `fixed`, `dynamic` or `raw`.
        align: Grow to a multiple of this many bytes; by default 1 MiB, and 1 for a raw disk. What
            is no whole number of sectors is filled up in any VHD.
        unique_id: Identity of the new disk; random by default.
        timestamp: Its time in seconds since 2000-01-01 UTC; now by default.
        parent: As for `open_image`.
        parent_dirs: As for `open_image`.
        ignore_bitmap: As for `open_image`.
        size: What the virtual size of a stream must be, if that is known.
        replace: Replace an existing destination.
        verify: Read everything back from storage and compare checksums.
        threads: How many to copy with; by default by the machine.
        job: To see progress, and to cancel from another thread.

    Raises:
        OSError: The source cannot be read.
        FormatError: It is no image, damaged, or needs what vhdtool cannot do.
        ParentNotFound: A parent is missing.
        OutputError: The destination exists, or cannot be written.
        ConfigError: The destination is one of the sources, or cannot have the size.
        KeyboardInterrupt: The job was cancelled.
    """
    from vhdtool.disk import stream

    target = Target(target)
    request = Request(
        target=target,
        align=_alignment(target, align),
        unique_id=unique_id,
        timestamp=timestamp,
        replace=replace,
        verify=verify,
        threads=threads,
    )
    job = job or _native.Job()
    if str(source) != STDIN:
        require_other_file(Path(source), Path(destination), "the source")
    output_path = require_new(Path(destination), replace=replace)
    if stream.is_stream(source):
        return stream.convert_stream(
            source, output_path, request, job, size=size, parent=parent, parent_dirs=parent_dirs
        )
    if size is not None:
        raise ConfigError("--size is for streams: an image says its size itself")
    # First, since what is between two states may well not open.
    require_settled(Path(source))
    with open_image(
        source, parent=parent, parent_dirs=parent_dirs, ignore_bitmap=ignore_bitmap, strict=True
    ) as image:
        return convert_image(image, output_path, request, job)


def _alignment(target: Target, align: int | None) -> int:
    if align is None:
        return 1 if target is Target.RAW else MIB
    if align < 1 or (align > 1 and align % SECTOR_SIZE):
        raise ConfigError(f"cannot align to {align} bytes", hint="use a multiple of 512 bytes")
    return align


def convert_image(
    image: Image, destination: Path, request: Request, job: _native.Job
) -> Conversion:
    """Write an opened image; raises as `convert` does."""
    from vhdtool.disk.write import write_dynamic, write_flat

    _require_distinct(image, destination)
    if image.sector_size != SECTOR_SIZE and request.target is not Target.RAW:
        raise UnsupportedImage(
            f"{image.path}: the disk has sectors of {image.sector_size} bytes, and a VHD has "
            f"sectors of {SECTOR_SIZE}: its partitions would not be found",
            hint="Azure takes such a VHDX as it is for Ultra Disk and Premium SSD v2; otherwise "
            "copy its files to a disk with 512-byte sectors",
        )
    size = request.size_for(image.size)
    footer = request.footer(size)
    relocation = plan_growth(image, image.size, size)
    with writing(destination, job) as output:
        if request.target is Target.DYNAMIC and footer is not None:
            written = write_dynamic(image, output, request, job, footer, relocation.patches)
        else:
            written = write_flat(image, output, request, job, footer, relocation.patches, size)
        output.commit(replace=request.replace)
    done = conversion(destination, request, image.size, size, written, relocation)
    return replace(done, notes=(*_changed_parents(image), *done.notes))


def _changed_parents(image: Image) -> Iterator[str]:
    """Tell of parents that are not as old as their children say: they may have been written to."""
    for link in _chain(image):
        found = None if link.vhd is None else link.vhd.parent
        if found is not None and found.is_changed:
            yield (
                f"{found.path} was last changed at {iso(found.found_timestamp or 0)}, "
                f"{link.path} has {iso(found.timestamp or 0)} for it"
            )


def conversion(
    path: Path,
    request: Request,
    source_size: int,
    size: int,
    written: int,
    relocation: Relocation,
) -> Conversion:
    """Put together what is known of a finished conversion."""
    notes = []
    if size > source_size:
        notes.append(f"grown from {human_size(source_size)} to {human_size(size)}")
    notes += [note for note in (relocation.note, relocation.problem) if note is not None]
    return Conversion(path, request.target, size, source_size, written, tuple(notes))


def plan_growth(disk: Reader, size: int, new_size: int) -> Relocation:
    """Plan where the partition table goes when a disk grows; a disk that does not is left alone."""
    if new_size // SECTOR_SIZE == size // SECTOR_SIZE:
        return Relocation()
    relocation = relocate(disk, size, new_size)
    if relocation.problem is None:
        return relocation
    return replace(relocation, problem=f"{relocation.problem}: it was copied as it is")


def _chain(image: Image) -> Iterator[Image]:
    link: Image | None = image
    while link is not None:
        yield link
        link = link.parent


def _require_distinct(image: Image, destination: Path) -> None:
    """Refuse to write over what is read, and to read what is half changed."""
    for link in _chain(image):
        require_settled(link.path)
        role = "the source" if link is image else "a parent of the source"
        require_other_file(link.path, destination, role)


def convert_in_place(
    path: str | PathLike[str],
    *,
    align: int | None = None,
    unique_id: UUID | None = None,
    timestamp: int | None = None,
) -> Conversion:
    """Make a raw disk a fixed VHD where it is: it grows if needed and gets a footer.

    An interruption can be completed or undone by `vhdtool repair`.

    Args:
        path: The raw disk.
        align: As for `convert`.
        unique_id: As for `convert`.
        timestamp: As for `convert`.

    Raises:
        OSError: The file cannot be read.
        CorruptImage: It is a dynamic VHD that lost its footers.
        UnsupportedImage: It is not a raw disk.
        OutputError: It cannot be written.
    """
    from vhdtool.disk import journal
    from vhdtool.disk.detect import detect
    from vhdtool.disk.edits import Edits
    from vhdtool.disk.facts import ImageFormat
    from vhdtool.disk.opening import require_no_dynamic_header

    path = Path(path)
    require_settled(path)
    file = _native.File(path)
    found = detect(file).format
    if found is not ImageFormat.RAW or file.size == 0:
        what = "empty" if file.size == 0 else f"{found}"
        raise UnsupportedImage(
            f"{path} is {what}: only a raw disk becomes a VHD in place",
            hint="convert it to another file"
            + (", or mend it: `vhdtool repair`" if found is ImageFormat.VHD_FIXED else ""),
        )
    require_no_dynamic_header(file)
    request = Request(
        align=_alignment(Target.FIXED, align), unique_id=unique_id, timestamp=timestamp
    )
    size = request.size_for(file.size)
    footer = request.footer(size)
    assert footer is not None
    edits = Edits(file, file.size)
    relocation = plan_growth(edits, file.size, size)
    for patch in relocation.patches:
        edits.write(patch.offset, patch.data, patch.what)
    edits.write(size, footer.build(), "footer")
    journal.start(path, journal.Journal(edits.old_size, edits.size, edits.spans()))
    written = sum(len(span.after) for span in edits.spans())
    return conversion(path, request, file.size, size, written, relocation)
