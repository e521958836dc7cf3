"""What an initial RAM disk holds: names only, of several archives in one file."""

from __future__ import annotations

from vhdtool import _native
from vhdtool.errors import FormatError


def initramfs_names(data: bytes) -> list[str] | None:
    """List the names in an initial RAM disk, of all its archives.

    Args:
        data: The whole file.

    Returns:
        The names as stored. None where a part is damaged or compressed with LZO, or a bound of
        `_native.initramfs_names` is passed.
    """
    try:
        names = _native.initramfs_names(data)
    except FormatError:
        return None
    return [name.decode("utf-8", "surrogateescape") for name in names]
