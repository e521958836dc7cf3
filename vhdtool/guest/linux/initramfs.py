"""What an initial RAM disk holds: names only, of all the archives in one file."""

from __future__ import annotations

from vhdtool import _native
from vhdtool.errors import GuestError, UnsupportedImage


def initramfs_names(data: bytes) -> list[str]:
    """List the names in an initial RAM disk, as stored.

    Args:
        data: The whole file.

    Raises:
        GuestError: A part is damaged, is compressed in a way that is not read (LZO), or it is more
            than 512 MiB or 200,000 names.
    """
    try:
        names = _native.initramfs_names(data)
    except (UnsupportedImage, ValueError) as error:
        raise GuestError(str(error)) from error
    return [name.decode("utf-8", "surrogateescape") for name in names]
