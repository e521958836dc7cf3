"""Tell whether two disks hold the same bytes, and read a disk through a second library."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from vhdtool import _native
from vhdtool.disk.facts import ImageFormat
from vhdtool.errors import CorruptImage, UnsupportedImage
from vhdtool.text import is_utf8, printable

if TYPE_CHECKING:
    from pathlib import Path

    from vhdtool.disk.image import Image

_READ_BY_LIBVHDI = frozenset(
    (
        ImageFormat.VHD_FIXED,
        ImageFormat.VHD_DYNAMIC,
        ImageFormat.VHD_DIFFERENCING,
        ImageFormat.VHDX,
    )
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two disks differ.

    Attributes:
        sizes: Their sizes in bytes.
        padded: Whether bytes past the end of the shorter one were taken for zeros.
        first_difference: Offset of the first byte that is not the same, None without one.
        different_bytes: How many are not the same, over the compared length.
    """

    sizes: tuple[int, int]
    padded: bool
    first_difference: int | None
    different_bytes: int

    @property
    def equal(self) -> bool:
        """Whether they hold the same disk."""
        same_size = self.padded or self.sizes[0] == self.sizes[1]
        return same_size and self.first_difference is None


def compare(
    a: _native.Disk, b: _native.Disk, *, pad: bool = False, job: _native.Job | None = None
) -> Comparison:
    """Compare two disks over their common length, with `pad` over the longer one.

    Raises:
        OSError: One cannot be read.
        CorruptImage: One cannot be read.
        KeyboardInterrupt: The job was cancelled.
    """
    found = _native.compare(job or _native.Job(), a, b, pad=pad)
    return Comparison((a.size, b.size), pad, found.first_difference, found.different_bytes)


class LibvhdiReader:
    """An image as libvhdi reads it. The library has one position: reads take turns."""

    def __init__(self, files: list[Any], streams: list[IO[bytes]]) -> None:
        """Keep opened files, the child first, and the streams that some of them read."""
        self._files = files
        self._streams = streams
        self._lock = threading.Lock()
        self.size: int = files[0].get_media_size()

    def read_at(self, offset: int, length: int) -> bytes:
        """Read `length` bytes; fewer only at the end of the disk."""
        with self._lock:
            data: bytes = self._files[0].read_buffer_at_offset(length, offset)
        return data

    def __del__(self) -> None:
        """Close the files when the disk that reads them goes away."""
        for file in (*self._files, *self._streams):
            file.close()


def open_with_libvhdi(image: Image) -> _native.Disk:
    """Open an image and its parents a second time, through libvhdi.

    Raises:
        UnsupportedImage: libvhdi is not installed, or does not read the format.
        CorruptImage: libvhdi refuses the image.
    """
    try:
        import pyvhdi
    except ImportError as error:
        raise UnsupportedImage(
            "the second reader libvhdi is not installed", hint="pip install 'vhdtool[pyvhdi]'"
        ) from error
    files: list[Any] = []
    streams: list[IO[bytes]] = []
    link: Image | None = image
    while link is not None:
        if link.format not in _READ_BY_LIBVHDI:
            raise UnsupportedImage(f"{link.path} is {link.format}: libvhdi reads VHD and VHDX")
        files.append(_open_file(pyvhdi, link.path, streams))
        if len(files) > 1:
            files[-2].set_parent(files[-1])
        link = link.parent
    reader = LibvhdiReader(files, streams)
    return _native.Disk.reader(reader, reader.size)


def _open_file(pyvhdi: Any, path: Path, streams: list[IO[bytes]]) -> Any:
    file = pyvhdi.file()
    try:
        if is_utf8(path):
            file.open(str(path))
        else:
            streams.append(path.open("rb"))
            file.open_file_object(streams[-1])
    except OSError as error:
        raise CorruptImage(
            "image", actual=f"libvhdi says: {printable(str(error))}", path=path
        ) from error
    return file
