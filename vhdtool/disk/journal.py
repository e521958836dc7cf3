"""Change a file in place so that it can be completed or undone after any interruption.

Beside the image a journal holds every changed range before and after. It is on storage before the
first byte of the image changes, and is removed when the last one is. So a crash leaves the old
image, the new one, or a mixture with a journal that leads to either.
"""

from __future__ import annotations

import contextlib
import json
import os
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from vhdtool.disk.edits import Span
from vhdtool.errors import CorruptImage, OutputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO
    from pathlib import Path

SUFFIX = ".vhdtool-journal"
_MAGIC = b"vhdtool-journal 1 "
_MAX_SIZE = 256 << 20
_SECTOR = 512  # what storage writes in one piece


@dataclass(frozen=True, slots=True)
class Journal:
    """What changes in a file: its length, and every range before and after."""

    old_size: int
    new_size: int
    spans: tuple[Span, ...]

    def reversed(self) -> Journal:
        """Return the change that takes this one back."""
        spans = tuple(Span(span.offset, span.after, span.before) for span in self.spans)
        return Journal(self.new_size, self.old_size, spans)

    def encode(self) -> bytes:
        """Return the journal file's bytes: a line with their checksum, then JSON."""
        spans = [
            [span.offset, b64encode(span.before).decode(), b64encode(span.after).decode()]
            for span in self.spans
        ]
        body = json.dumps(
            {"old_size": self.old_size, "new_size": self.new_size, "spans": spans}
        ).encode()
        return _MAGIC + sha256(body).hexdigest().encode() + b"\n" + body

    @staticmethod
    def decode(data: bytes) -> Journal:
        """Read a journal file's bytes.

        Raises:
            ValueError: It is damaged, or no journal.
        """
        line, _, body = data.partition(b"\n")
        if line != _MAGIC + sha256(body).hexdigest().encode():
            raise ValueError("its checksum is wrong")
        fields = json.loads(body)
        spans = tuple(
            Span(offset, b64decode(before), b64decode(after))
            for offset, before, after in fields["spans"]
        )
        return Journal(fields["old_size"], fields["new_size"], spans)


def journal_path(image: Path) -> Path:
    """Return where the journal of an image is while it is being changed."""
    return image.with_name(image.name + SUFFIX)


def find_journal(image: Path) -> Journal | None:
    """Return the journal that an interrupted change of an image left, None without one.

    Raises:
        CorruptImage: It is there and cannot be read.
    """
    path = journal_path(image)
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_SIZE + 1)
    except FileNotFoundError:
        return None
    try:
        return Journal.decode(data)
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptImage(
            f"journal {path}",
            actual=str(error),
            path=image,
            hint="nothing was changed; restore the image from a copy, or remove the journal if "
            "the image is known to be whole",
        ) from error


def require_settled(image: Path) -> None:
    """Refuse an image that is between its old and its new state.

    Raises:
        CorruptImage: An interrupted change waits to be completed or undone.
    """
    path = journal_path(image)
    if path.exists():
        raise CorruptImage(
            f"{image}",
            actual=f"a change of it was interrupted ({path.name} is there)",
            hint="complete it with `vhdtool repair`, or take it back with `vhdtool repair --undo`",
        )


def start(image: Path, journal: Journal) -> None:
    """Write down a change, then make it; take it back where storage is full.

    Raises:
        OutputError: The journal or the image cannot be written.
    """
    with _writing(image), _opened(image) as file:
        if not _is_old(file, journal):
            raise OutputError(f"{image}: changed while it was read", hint="try again")
        _save(journal_path(image), journal.encode())
        try:
            _make(file, image, journal)
        except OSError:
            with contextlib.suppress(OSError):  # then the journal stays
                _make(file, image, journal.reversed())
            raise


def resume(image: Path, journal: Journal) -> None:
    """Complete an interrupted change.

    Raises:
        CorruptImage: The image is not the one that the journal was written for.
        OutputError: The image cannot be written.
    """
    with _writing(image), _opened(image) as file:
        _require_match(file, image, journal)
        _make(file, image, journal)


def undo(image: Path, journal: Journal) -> None:
    """Put an image back to what it was before an interrupted change; raises as `resume` does."""
    with _writing(image), _opened(image) as file:
        _require_match(file, image, journal)
        _make(file, image, journal.reversed())


def _make(file: FileIO, image: Path, journal: Journal) -> None:
    """Write the new state. Every step may be done again, from any state between."""
    if _size(file) < journal.new_size:
        _set_size(file, journal.new_size)
    for span in journal.spans:
        _write_span(file, span)
    os.fsync(file.fileno())
    if _size(file) != journal.new_size:
        _set_size(file, journal.new_size)
        os.fsync(file.fileno())
    _remove(journal_path(image))


def _size(file: FileIO) -> int:
    return os.fstat(file.fileno()).st_size


def _set_size(file: FileIO, size: int) -> None:
    file.truncate(size)


def _write_span(file: FileIO, span: Span) -> None:
    file.seek(span.offset)
    left = memoryview(span.after)
    while left:
        left = left[file.write(left) :]


def _remove(path: Path) -> None:
    path.unlink()
    _sync_folder(path.parent)


def _require_match(file: FileIO, image: Path, journal: Journal) -> None:
    size = _size(file)
    sizes = (journal.old_size, journal.new_size)
    where: int | None = None
    if size in sizes:
        where = next(_strangers(file, journal), None)
        if where is None:
            return
    raise CorruptImage(
        f"journal {journal_path(image)}",
        offset=where,
        actual="the image holds bytes that are neither old nor new"
        if where is not None
        else f"the image has {size} bytes",
        expected=None if where is not None else f"{sizes[0]} or {sizes[1]} bytes",
        path=image,
        hint="the journal belongs to another image, or the image was changed since; nothing was "
        "written",
    )


def _is_old(file: FileIO, journal: Journal) -> bool:
    """Whether the file is still what the change was planned for."""
    if _size(file) != journal.old_size:
        return False
    for span in journal.spans:
        file.seek(span.offset)
        if file.read(len(span.before)) != span.before:
            return False
    return True


def _strangers(file: FileIO, journal: Journal) -> Iterator[int]:
    """Yield the offsets of sectors that hold neither the old bytes nor the new ones."""
    for span in journal.spans:
        length = max(len(span.before), len(span.after))
        file.seek(span.offset)
        current = file.read(length).ljust(length, b"\0")
        before, after = span.before.ljust(length, b"\0"), span.after.ljust(length, b"\0")
        first = -(span.offset % _SECTOR)
        for start_at in range(first, length, _SECTOR):
            piece = slice(max(0, start_at), start_at + _SECTOR)
            if current[piece] not in (before[piece], after[piece]):
                yield span.offset + piece.start


@contextlib.contextmanager
def _opened(image: Path) -> Iterator[FileIO]:
    """Open an image for changes by this process alone.

    Without a buffer: what could not be written must not be written later.
    """
    with image.open("r+b", buffering=0) as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise OutputError(
                    f"{image}: another process is changing it", hint="wait for it to end"
                ) from error
        yield file


def _save(path: Path, data: bytes) -> None:
    """Put a journal on storage, whole or not at all."""
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    try:
        with beside.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Put a folder's names on storage, where the system knows that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _writing(image: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = None
        if journal_path(image).exists():
            hint = (
                "run `vhdtool repair` again to complete the change, or with --undo to take it back"
            )
        raise OutputError(
            f"{error.filename or image}: {error.strerror or error}", hint=hint
        ) from error
