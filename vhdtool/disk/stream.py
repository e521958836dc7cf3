"""Sources that come once: standard input and compressed files.

A raw disk or a fixed VHD is written as it arrives. Any other image needs its parts in another
order than they come in: it is put down beside the destination first.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from vhdtool import _native
from vhdtool.disk.convert import STDIN, Conversion, Target, conversion, convert_image, plan_growth
from vhdtool.disk.create import MAX_FIXED_SIZE
from vhdtool.disk.detect import by_magic, detect
from vhdtool.disk.facts import ImageFormat
from vhdtool.disk.image import open_image
from vhdtool.disk.output import writing
from vhdtool.disk.write import finish_flat, require_copied
from vhdtool.errors import CorruptImage, FormatError, NotAnImage, UnsupportedImage
from vhdtool.formats.vhd import FOOTER_COOKIE, DiskType
from vhdtool.units import MIB, human_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from os import PathLike

    from vhdtool.disk.convert import Request
    from vhdtool.disk.image import Image

COMPRESSIONS = {ImageFormat.GZIP: "gzip", ImageFormat.XZ: "xz", ImageFormat.ZSTD: "zstd"}
_PEEK = 64 * 1024  # past the descriptor of an ISO 9660 volume
# What may follow the disk in a stream of known size: a footer, and what was appended to it.
_SURPLUS = 8 * MIB
_STDIN_NAME = "standard input"
_LAST_WORD = 0.05


def is_stream(source: str | PathLike[str]) -> bool:
    """Whether a source can only be read from its start to its end; OSError if it is not there."""
    return str(source) == STDIN or detect(_native.File(source)).format in COMPRESSIONS


def convert_stream(
    source: str | PathLike[str],
    destination: Path,
    request: Request,
    job: _native.Job,
    *,
    size: int | None,
    parent: str | PathLike[str] | None,
    parent_dirs: Iterable[str | PathLike[str]],
) -> Conversion:
    """Convert a stream; arguments and errors are those of `convert`."""
    stream, name, folders = _open(source, job)
    head = _peek(stream)
    if not head:
        raise NotAnImage(name, actual="nothing came", hint="see what should have written it")
    limit = MAX_FIXED_SIZE if size is None else size
    if request.target is Target.DYNAMIC or _is_structured(head):
        with _spooled(
            stream, name, destination, job, limit, parent, [*parent_dirs, *folders]
        ) as image:
            _require_size(name, image.size, size)
            return convert_image(image, destination, request, job)
    return _pass_through(stream, name, destination, request, job, size=size, limit=limit)


def _open(source: str | PathLike[str], job: _native.Job) -> tuple[_native.Stream, str, list[Path]]:
    """Return the stream, its name, and where parents of what it holds may be."""
    if str(source) == STDIN:
        return _native.Stream.open(None, "detect", job), _STDIN_NAME, []
    path = Path(source)
    return _native.Stream.open(path, "detect", job), str(path), [path.parent]


def _peek(stream: _native.Stream) -> bytes:
    try:
        return stream.peek(_PEEK)
    except UnsupportedImage as error:
        error.hint = "unpack it by its own tool: `xz -dc FILE | vhdtool convert - OUT`"
        raise


def _is_structured(head: bytes) -> bool:
    """Whether the disk's bytes do not come in their order, as in a dynamic VHD."""
    return head.startswith(FOOTER_COOKIE) or by_magic(head, 0) is not ImageFormat.RAW


def _copy(
    stream: _native.Stream,
    name: str,
    output: _native.Output,
    job: _native.Job,
    limit: int,
    *,
    total: int | None = None,
    digests: bool = False,
) -> _native.CopyStats:
    try:
        stats = _native.copy_stream(
            job, stream, output, limit=limit + _SURPLUS, total=total, digests=digests
        )
    except ValueError as error:
        raise UnsupportedImage(
            name, actual="it goes on", expected=f"a disk of at most {human_size(limit)}"
        ) from error
    if name == _STDIN_NAME:
        # Ctrl-C ends the program that writes to us as well: then the end of the stream comes a
        # moment before the word to stop.
        time.sleep(_LAST_WORD)
        job.check()
    return stats


def _require_size(name: str, actual: int, expected: int | None) -> None:
    if expected is not None and actual != expected:
        raise CorruptImage(
            name,
            actual=f"a disk of {human_size(actual)}",
            expected=human_size(expected),
            hint="the stream was cut off, or `--size` is wrong",
        )


def _pass_through(
    stream: _native.Stream,
    name: str,
    destination: Path,
    request: Request,
    job: _native.Job,
    *,
    size: int | None,
    limit: int,
) -> Conversion:
    """Write a raw disk or fixed VHD as it comes; the footer is known only at the end."""
    request.footer(request.size_for(size or 1))
    with writing(destination, job) as output:
        stats = _copy(stream, name, output, job, limit, total=size, digests=request.verify)
        require_copied(output.disk(0, stats.size) if request.verify else None, stats, job)
        source_size = _data_size(output.file(), name)
        _require_size(name, source_size, size)
        output.set_len(source_size)
        new_size = request.size_for(source_size)
        footer = request.footer(new_size)
        relocation = plan_growth(output.file(), source_size, new_size)
        finish_flat(output, footer, relocation.patches, new_size, verify=request.verify)
        output.commit(replace=request.replace)
    return conversion(destination, request, source_size, new_size, stats.written_bytes, relocation)


def _data_size(file: _native.File, name: str) -> int:
    """Return the size of the disk that came: without the footer, if it has one."""
    from vhdtool.disk.opening import require_no_dynamic_header
    from vhdtool.disk.vhd import check_vhd, read_vhd

    footers = detect(file).footers
    try:
        if footers is None:
            require_no_dynamic_header(file)
            return file.size
        facts = read_vhd(file, footers)
        check_vhd(file, facts)
    except FormatError as error:
        error.path = Path(name)
        raise
    footer = facts.active.value
    if footer.disk_type != DiskType.FIXED:
        raise CorruptImage(
            name,
            offset=0,
            actual="no footer copy at the start of a dynamic VHD",
            hint="unpack it, and mend it with `vhdtool repair`",
        )
    return footer.current_size


@contextlib.contextmanager
def _spooled(
    stream: _native.Stream,
    name: str,
    destination: Path,
    job: _native.Job,
    limit: int,
    parent: str | PathLike[str] | None,
    parent_dirs: Iterable[str | PathLike[str]],
) -> Iterator[Image]:
    """Put a stream down in a folder of its own beside the destination, and open it."""
    folder = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", dir=destination.parent))
    try:
        spool = folder / "image"
        with writing(spool, job) as output:
            _copy(stream, name, output, job, limit)
            output.commit()
        image = _open_spool(spool, name, parent, parent_dirs)
        with contextlib.suppress(OSError):
            # Where the system lets go of an open file's name, a kill leaves nothing from here on.
            shutil.rmtree(folder)
        with image:
            yield image
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _open_spool(
    spool: Path,
    name: str,
    parent: str | PathLike[str] | None,
    parent_dirs: Iterable[str | PathLike[str]],
) -> Image:
    try:
        return open_image(spool, parent=parent, parent_dirs=parent_dirs, strict=True)
    except FormatError as error:
        error.path = Path(name)
        raise
    except FileNotFoundError as error:
        raise UnsupportedImage(
            name,
            actual="a VMDK whose data is in other files",
            expected="an image in one file",
            hint="convert the descriptor where it lies, beside those files",
        ) from error
