"""A kernel's command line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vhdtool.guest.linux.files import Line

_WORD = re.compile(r'(?:[^\s"]|"[^"]*")+')


@dataclass(frozen=True, slots=True)
class CommandLine:
    """The parameters in their order, and the line that they come from."""

    words: tuple[str, ...]
    line: Line

    def values(self, name: str) -> list[str]:
        """Return the values of a parameter, in order; dashes and underscores are alike."""
        wanted = name.replace("-", "_")
        found = []
        for word in self.words:
            key, equals, value = word.partition("=")
            if equals and key.replace("-", "_") == wanted:
                found.append(value.strip('"'))
        return found

    def last(self, name: str) -> str | None:
        """Return the last value of a parameter; None where it has none."""
        return next(reversed(self.values(name)), None)

    def has(self, word: str) -> bool:
        """Whether a word, or a parameter with its value, is there."""
        return word in self.words


def split(text: str) -> tuple[str, ...]:
    """Split as the kernel does: at blanks that are not in double quotes."""
    return tuple(_WORD.findall(text))
