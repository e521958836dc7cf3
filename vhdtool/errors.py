"""Every exception of vhdtool, with the exit status that it ends a command with."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pathlib import Path


class VhdtoolError(Exception):
    """Something the user can understand and act on.

    Attributes:
        exit_code: The exit status of a command that ends with this error.
        hint: What to do next, or None.
    """

    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        """Keep the message and the hint."""
        super().__init__(message)
        self.hint = hint


class ConfigError(VhdtoolError):
    """The command line or a configuration file asks for something impossible."""

    exit_code = 2


class FormatError(VhdtoolError):
    """The bytes of an image are not what they must be.

    Attributes:
        structure: Name of the structure, as in the format's specification.
        offset: Byte offset in the image file, or None where there is no one place.
        expected: What a sound image has there, or None.
        actual: What was found, or None.
        path: The image, or None until it is known.
    """

    def __init__(
        self,
        structure: str,
        *,
        offset: int | None = None,
        expected: str | None = None,
        actual: str | None = None,
        path: Path | None = None,
        hint: str | None = None,
    ) -> None:
        """Compose the message from the parts that are known."""
        where = "" if offset is None else f" at offset {offset:#x}"
        values = ""
        if actual is not None:
            values = f": {actual}"
        if expected is not None:
            values += f", expected {expected}" if values else f": expected {expected}"
        super().__init__(f"{structure}{where}{values}", hint=hint)
        self.structure = structure
        self.offset = offset
        self.expected = expected
        self.actual = actual
        self.path = path


class NotAnImage(FormatError):
    """The file is no virtual disk that vhdtool knows."""


class CorruptImage(FormatError):
    """The file is a virtual disk whose structures contradict themselves or the file."""


class UnsupportedImage(FormatError):
    """The file is a sound virtual disk that needs something vhdtool cannot do."""


class ParentNotFound(VhdtoolError):
    """The parent of a differencing disk is in none of the places that may be searched."""


class ParentMismatch(VhdtoolError):
    """The file found as parent is not the disk that the child was made from."""


class GuestError(VhdtoolError):
    """A file system or registry hive of the guest is damaged, or needs what is not read."""


class OutputError(VhdtoolError):
    """The output could not be written; nothing of it was left behind."""

    exit_code = 4


class TransferError(VhdtoolError):
    """An upload or download failed and can be resumed."""

    exit_code = 4
