"""New files: where they may be written, and what is said when they cannot be."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from vhdtool import _native
from vhdtool.errors import ConfigError, OutputError
from vhdtool.units import human_size

if TYPE_CHECKING:
    from collections.abc import Iterator

_NO_SPACE = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
# How the native core begins what it says of files that are read.
_READING = ("cannot read ", "cannot open ", "cannot stat ")


def require_new(path: Path, *, replace: bool) -> Path:
    """Return the path to write to, with symbolic links followed.

    Raises:
        OutputError: Something is there that may not be replaced, or the folder is not.
    """
    path = Path(os.path.realpath(path))
    if path.exists():
        if not path.is_file():
            raise OutputError(f"{path}: exists and is no regular file")
        if not replace:
            raise OutputError(f"{path}: exists", hint="`--force` replaces it")
    if not path.parent.is_dir():
        raise OutputError(f"{path.parent}: no such folder", hint="make it first")
    return path


def require_other_file(source: Path, destination: Path, role: str) -> None:
    """Refuse a destination that is one of the files read, by whatever name.

    Raises:
        ConfigError: It is.
    """
    with contextlib.suppress(FileNotFoundError):
        if source.samefile(destination):
            raise ConfigError(f"{destination}: is {role}", hint="write to another file")


@contextlib.contextmanager
def writing(path: Path, job: _native.Job | None = None) -> Iterator[_native.Output]:
    """Give an output that is dropped unless it was committed; errors in writing are OutputErrors.

    Raises:
        OutputError: The system refused to write.
    """
    free = _free(path)
    output: _native.Output | None = None
    try:
        output = _native.Output(path)
        yield output
    except FileExistsError as error:
        raise OutputError(
            f"{path}: exists, since a moment", hint="`--force` replaces it"
        ) from error
    except OSError as error:
        text = error.strerror or str(error)
        if text.startswith(_READING):
            raise
        if error.errno in _NO_SPACE:
            raise _no_space(path, text, free, job) from error
        raise OutputError(text if str(path) in text else f"{path}: {text}") from error
    finally:
        if output is not None:
            output.abort()


def _free(path: Path) -> int | None:
    try:
        return shutil.disk_usage(path.parent).free
    except OSError:
        return None


def _no_space(path: Path, text: str, free: int | None, job: _native.Job | None) -> OutputError:
    needed = None if job is None else job.total
    words = []
    if needed is not None:
        words.append(f"up to {human_size(needed)} of data to write")
    if free is not None:
        words.append(f"{human_size(free)} were free")
    return OutputError(
        f"{text}; {', '.join(words)}" if words else text,
        hint=f"free some space in {path.parent} or write to another folder; nothing was left there",
    )
