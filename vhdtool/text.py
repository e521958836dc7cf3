"""Text that comes from an image, made safe to show."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os import PathLike


def printable(text: str) -> str:
    r"""Escape what could act on a terminal or hide: control, format and surrogate characters.

    A backslash stays as it is, since most such texts are Windows paths: the result is for people,
    not for decoding.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else _escape(character) for character in text
    )


def is_utf8(name: str | PathLike[str]) -> bool:
    """Whether a file's name is text that every library takes."""
    try:
        str(name).encode()
    except UnicodeEncodeError:
        return False
    return True


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
