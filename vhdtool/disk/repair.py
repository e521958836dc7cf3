"""Find damage to an image that can be mended without a guess, and mend it.

Mended are the footer and its copy, checksums, bytes after the footer, a missing footer, and on
fixed and raw disks the GUID partition table and the alignment to whole MiB. What else is wrong is
an error here: nothing is written to an image that is not understood.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vhdtool import _native
from vhdtool.disk import journal
from vhdtool.disk.detect import detect
from vhdtool.disk.edits import Edits
from vhdtool.disk.facts import ImageFormat
from vhdtool.disk.mend_vhd import mend_vhd
from vhdtool.disk.missing_footer import add_footer
from vhdtool.disk.opening import advice_for
from vhdtool.disk.output import require_new, require_other_file, writing
from vhdtool.disk.relocate import relocate
from vhdtool.errors import UnsupportedImage
from vhdtool.formats.chs import geometry_for
from vhdtool.formats.vhd import FOOTER_SIZE, DiskType
from vhdtool.units import MIB, align_up, human_size

if TYPE_CHECKING:
    from os import PathLike
    from uuid import UUID

    from vhdtool.disk.edits import Change
    from vhdtool.formats.vhd import Footer


@dataclass(frozen=True, slots=True)
class Plan:
    """What a repair changes. Nothing is written yet.

    Attributes:
        path: The image.
        changes: Each change before and after, in order.
        remaining: What is wrong and stays so, one sentence each.
        journal: The same changes as ranges of the file.
    """

    path: Path
    changes: tuple[Change, ...]
    remaining: tuple[str, ...]
    journal: journal.Journal


def plan(
    path: str | PathLike[str], *, unique_id: UUID | None = None, timestamp: int | None = None
) -> Plan:
    """Find out what is to be mended.

    Args:
        path: The image; it is only read.
        unique_id: Identity for a footer that is missing; random by default.
        timestamp: Its time in seconds since 2000-01-01 UTC; now by default.

    Raises:
        OSError: The file cannot be read.
        CorruptImage: It is damaged in a way that cannot be mended safely.
        UnsupportedImage: It is of a format that is not repaired.
    """
    path = Path(path)
    file = _native.File(path)
    detected = detect(file)
    edits = Edits(file, file.size)
    footer: Footer | None = None
    if detected.footers is not None:
        footer = mend_vhd(file, edits, detected.footers, path)
    elif detected.format is not ImageFormat.RAW:
        raise UnsupportedImage(
            f"{path} is {detected.format}: only VHD and raw images are repaired",
            hint=advice_for(detected.format)
            or "`vhdtool convert` reads it, and writes a sound VHD",
        )
    elif path.suffix.lower() == ".vhd":
        footer = add_footer(file, edits, path, unique_id=unique_id, timestamp=timestamp)
    remaining = _mend_disk(edits, footer)
    return Plan(
        path,
        tuple(edits.changes),
        remaining,
        journal.Journal(edits.old_size, edits.size, edits.spans()),
    )


def _mend_disk(edits: Edits, footer: Footer | None) -> tuple[str, ...]:
    """Mend what lies on a disk that is stored as it is; return what stays wrong."""
    if footer is None:
        return _mend_table(edits, edits.size)
    size = footer.current_size
    if footer.disk_type != DiskType.FIXED:
        # Its sectors lie in blocks that may have to be allocated: convert does that better.
        aligned = size % MIB == 0
        return () if aligned else (f"virtual size stays {human_size(size)}, no whole MiB",)
    if size % MIB == 0:
        return _mend_table(edits, size)
    return _grow(edits, footer, align_up(size, MIB))


def _mend_table(edits: Edits, size: int) -> tuple[str, ...]:
    relocation = relocate(edits, size, size)
    for patch in relocation.patches:
        edits.write(patch.offset, patch.data, patch.what)
    return () if relocation.problem is None else (relocation.problem,)


def _grow(edits: Edits, footer: Footer, new_size: int) -> tuple[str, ...]:
    """Make the virtual size a whole number of MiB: the footer and the GPT backup move."""
    size = footer.current_size
    relocation = relocate(edits, size, new_size)
    if relocation.problem is not None:
        return (relocation.problem, f"virtual size stays {human_size(size)}, no whole MiB")
    edits.write(size, bytes(FOOTER_SIZE), "footer leaves its old place")
    for patch in relocation.patches:
        edits.write(patch.offset, patch.data, patch.what)
    grown = replace(footer, current_size=new_size, geometry=geometry_for(new_size)).sealed()
    edits.write(new_size, grown.build(), f"footer, virtual size {human_size(new_size)}")
    return ()


def apply(planned: Plan) -> None:
    """Mend the image in place, under a journal.

    Raises:
        OutputError: The image or the journal cannot be written.
    """
    if planned.changes:
        journal.start(planned.path, planned.journal)


def write_copy(
    planned: Plan,
    destination: str | PathLike[str],
    *,
    replace: bool = False,
    job: _native.Job | None = None,
) -> None:
    """Write the mended image to another file, sparse, whole or not at all.

    Raises:
        ConfigError: The destination is the image itself.
        OSError: The image cannot be read.
        OutputError: The copy exists, or cannot be written.
        KeyboardInterrupt: The job was cancelled.
    """
    require_other_file(planned.path, Path(destination), "the image itself")
    path = require_new(Path(destination), replace=replace)
    file = _native.File(planned.path)
    kept = min(planned.journal.old_size, planned.journal.new_size)
    job = job or _native.Job()
    with writing(path, job) as output:
        _native.copy_flat(job, _native.Disk.flat(file, 0, kept), output)
        output.set_len(planned.journal.new_size)
        for span in planned.journal.spans:
            output.write_at(span.offset, span.after)
        output.commit(replace=replace)
