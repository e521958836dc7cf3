"""Find the parent of a differencing image.

An image may name any file of the machine it came from, so its word only chooses among files in
folders that the user chose: the child's own folder, those given by name, and what lies below them.
Symbolic links do not lead out of these folders either.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from vhdtool.disk.facts import ParentFacts
from vhdtool.errors import ParentMismatch, ParentNotFound, VhdtoolError
from vhdtool.formats.guid import NIL
from vhdtool.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from uuid import UUID

# More links than any product makes; each one holds a file open.
MAX_CHAIN = 1024
_MAX_LISTED = 65536
_DRIVE = re.compile(r"[A-Za-z]:")
_MAC_URL = re.compile(r"file:(//[^/]*)?", re.IGNORECASE)
_HINT = "name the folder that holds it with --parent-dir DIR, or the file itself with --parent FILE"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an image says of its parent.

    Attributes:
        identifiers: The parent must have one of these; empty where the format has none (qcow2).
        timestamp: Seconds since 2000-01-01 UTC, VHD only.
        names: (locator code, name) in search order.
    """

    identifiers: tuple[UUID, ...]
    timestamp: int | None
    names: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Identity:
    """What a file is known by as a parent."""

    unique_id: UUID | None
    timestamp: int | None


@dataclass(frozen=True, slots=True)
class ParentPolicy:
    """Where parents may come from: one file for the first image, and folders."""

    file: Path | None = None
    folders: tuple[Path, ...] = ()


def find_parent(
    child: Path, wanted: Wanted, policy: ParentPolicy, identify: Callable[[Path], Identity]
) -> tuple[ParentFacts, VhdtoolError | None]:
    """Find the parent of `child`; the error says why there is none.

    `identify` may raise OSError or VhdtoolError for a file that is no image of the child's format.
    """
    if policy.file is not None:
        searched, found = [policy.file], [policy.file]
    else:
        search = _Search(child, policy.folders)
        found = list(search.candidates(wanted.names))
        searched = search.searched
    rejected: VhdtoolError | None = None
    identity = Identity(None, None)
    for path in found:
        try:
            identity = identify(path)
        except (OSError, VhdtoolError) as error:
            rejected = rejected or ParentMismatch(
                f"{printable(str(path))} cannot be the parent: {error}", hint=_HINT
            )
            continue
        if not wanted.identifiers or identity.unique_id in wanted.identifiers:
            return _facts(wanted, searched, path, identity, None), None
        rejected = rejected or _mismatch(path, wanted, identity)
    missing = rejected or _not_found(child, wanted, searched)
    return _facts(wanted, searched, None, identity, str(missing)), missing


def _facts(
    wanted: Wanted,
    searched: Sequence[Path],
    path: Path | None,
    identity: Identity,
    error: str | None,
) -> ParentFacts:
    return ParentFacts(
        unique_id=wanted.identifiers[0] if wanted.identifiers else NIL,
        timestamp=wanted.timestamp,
        names=wanted.names,
        searched=tuple(searched),
        path=path,
        found_unique_id=identity.unique_id,
        found_timestamp=identity.timestamp,
        error=error,
    )


def _mismatch(path: Path, wanted: Wanted, identity: Identity) -> ParentMismatch:
    expected = " or ".join(str(identifier) for identifier in wanted.identifiers)
    found = "no identifier" if identity.unique_id is None else str(identity.unique_id)
    return ParentMismatch(
        f"{printable(str(path))} is not the parent: its identifier is {found}, "
        f"the child was made from {expected}",
        hint=_HINT,
    )


def _not_found(child: Path, wanted: Wanted, searched: Sequence[Path]) -> ParentNotFound:
    names = dict.fromkeys(printable(name) for _, name in wanted.names)
    named = " or ".join(f"'{name}'" for name in names) or "a file that the image does not name"
    identifier = f" ({wanted.identifiers[0]})" if wanted.identifiers else ""
    places = ", ".join(printable(str(path)) for path in searched) or "nothing that may be searched"
    return ParentNotFound(
        f"parent {named}{identifier} of {printable(str(child))} not found; looked for {places}",
        hint=_HINT,
    )


class _Search:
    """One search through the allowed folders; `searched` lists every path that was tried."""

    def __init__(self, child: Path, folders: Sequence[Path]) -> None:
        own = (child.parent, Path(os.path.realpath(child)).parent)
        self._folders = tuple(
            dict.fromkeys(Path(os.path.normpath(f.absolute())) for f in (*own, *folders))
        )
        self._roots = self._folders + tuple(Path(os.path.realpath(f)) for f in self._folders)
        self.searched: list[Path] = []

    def candidates(self, names: Sequence[tuple[str, str]]) -> Iterator[Path]:
        for code, name in names:
            for parts in _translations(code, name):
                for folder in self._folders:
                    path = Path(os.path.normpath(folder.joinpath(*parts)))
                    if path in self.searched or not self._allowed(path):
                        continue
                    self.searched.append(path)
                    found = _existing(path, self._roots)
                    if found is not None and self._allowed(Path(os.path.realpath(found))):
                        yield found

    def _allowed(self, path: Path) -> bool:
        return any(path.is_relative_to(root) for root in self._roots)


def _translations(code: str, name: str) -> Iterator[tuple[str, ...]]:
    """Yield the path that a name means below a folder, then its last part alone."""
    text = name.partition("\0")[0]
    if code == "MacX":
        from urllib.parse import unquote  # 18 ms to import, and rarely needed

        text = unquote(_MAC_URL.sub("", text, count=1))
    elif code != "backing file":
        text = text.replace("\\", "/")
    relative = not text.startswith("/") and _DRIVE.match(text) is None
    parts = tuple(part for part in text.split("/") if part not in ("", "."))
    if not parts or parts[-1] == "..":
        return
    if relative and len(parts) > 1:
        yield parts
    yield (_DRIVE.sub("", parts[-1], count=1),)


def _existing(path: Path, roots: Sequence[Path]) -> Path | None:
    """Return the regular file at `path`, in whatever case its names are written there."""
    try:
        if path.is_file():
            return path
        current = next(root for root in roots if path.is_relative_to(root))
        for part in path.relative_to(current).parts:
            exact = current / part
            current = exact if exact.exists() else _in_any_case(current, part)
        return current if current.is_file() else None
    except (OSError, ValueError):  # too long, not encodable, not a folder, not permitted
        return None


def _in_any_case(folder: Path, name: str) -> Path:
    wanted = name.casefold()
    with os.scandir(folder) as entries:
        listed = islice(entries, _MAX_LISTED)
        matches = sorted(entry.name for entry in listed if entry.name.casefold() == wanted)
    return folder / (matches[0] if matches else name)
