"""VMDK images through libvmdk: sparse, streamOptimized, flat, in one file or several."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from vhdtool import _native
from vhdtool.errors import CorruptImage, UnsupportedImage
from vhdtool.text import is_utf8, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

_NO_PARENT = 0xFFFF_FFFF
_SPARSE_MAGIC = b"KDMV"
_MAX_EXTENTS = 1024


class VmdkReader:
    """An opened VMDK, for `_native.Disk.reader`. libvmdk has one position: reads take turns."""

    def __init__(self, handle: Any, files: list[IO[bytes]]) -> None:
        """Keep a handle whose extents are open, and the files that it reads."""
        self._handle = handle
        self._files = files
        self._lock = threading.Lock()
        self.size: int = handle.get_media_size()

    def read_at(self, offset: int, length: int) -> bytes:
        """Read `length` bytes; fewer only at the end of the disk."""
        with self._lock:
            data: bytes = self._handle.read_buffer_at_offset(length, offset)
        return data

    def __del__(self) -> None:
        """Close the files when the last disk that reads them goes away."""
        self._handle.close()
        for file in self._files:
            file.close()


def open_vmdk(path: Path, file: _native.File) -> _native.Disk:
    """Open a VMDK; extents in other files come from the image's own folder only.

    Args:
        path: The image.
        file: The same, opened.

    Raises:
        UnsupportedImage: libvmdk is not installed, or the disk needs a parent or a device.
        CorruptImage: libvmdk cannot read it.
    """
    try:
        import pyvmdk
    except ImportError as error:
        raise UnsupportedImage(
            "VMDK: the reader libvmdk is not installed", hint="pip install 'vhdtool[vmdk]'"
        ) from error
    # Before libvmdk, which takes memory for every grain table that a header claims.
    grains = _native.Grains.open(file)
    handle = pyvmdk.handle()
    files: list[IO[bytes]] = []
    try:
        if is_utf8(path):
            handle.open(str(path))
        else:
            files.append(path.open("rb"))
            handle.open_file_object(files[0])
        _check_stands_alone(handle)
        extents = []
        for name in _extent_paths(handle, path):
            _native.Grains.open(_native.File(name))
            extents.append(name.open("rb"))
            files.append(extents[-1])
        handle.open_extent_data_files_as_file_objects(extents)
        reader = VmdkReader(handle, files)
    except (OSError, RuntimeError, ValueError) as error:
        for opened in files:
            opened.close()
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise CorruptImage("VMDK", actual=f"libvmdk says: {printable(str(error))}") from error
    if grains is None or len(extents) != 1:
        return _native.Disk.reader(reader, reader.size)
    if reader.size > grains.capacity:
        raise CorruptImage(
            "VMDK descriptor",
            actual=f"an extent of {reader.size} bytes",
            expected=f"at most {grains.capacity} as in the header",
        )
    return _native.Disk.reader(reader, reader.size, grains)


def _check_stands_alone(handle: Any) -> None:
    if handle.get_parent_content_identifier() != _NO_PARENT or handle.get_parent_filename():
        raise UnsupportedImage(
            "VMDK",
            actual="a delta link that needs its parent",
            expected="a disk that stands alone",
            hint="consolidate the snapshots, or convert the chain with `qemu-img convert` first",
        )


def _extent_paths(handle: Any, path: Path) -> Iterator[Path]:
    count = handle.get_number_of_extents()
    if count > _MAX_EXTENTS:
        raise UnsupportedImage(
            "VMDK", actual=f"{count} extents", expected=f"at most {_MAX_EXTENTS}"
        )
    with path.open("rb") as file:
        is_sparse_file = file.read(4) == _SPARSE_MAGIC
    if is_sparse_file and count == 1:
        # The descriptor inside keeps the old name when the file is renamed.
        yield path
        return
    folder = path.resolve().parent
    for index in range(count):
        name = handle.get_extent_descriptor(index).get_filename() or ""
        extent = folder / name
        outside = not name or Path(name).name != name or extent.resolve().parent != folder
        if outside or (extent.exists() and not extent.is_file()):
            raise UnsupportedImage(
                "VMDK extent",
                actual=f"'{printable(name)}'",
                expected="a file beside the image",
                hint="move the extents into the folder of the descriptor",
            )
        yield extent
