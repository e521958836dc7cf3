"""Settings of `check` from `vhdtool.toml`, or `[tool.vhdtool]` of `pyproject.toml`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vhdtool.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

_OWN_FILE = "vhdtool.toml"
_PROJECT_FILE = "pyproject.toml"
_MAX_SIZE = 1 << 20
_LISTS = ("profile", "select", "ignore", "parent-dir")
_WORDS = ("fail-on",)


@dataclass(frozen=True, slots=True)
class Config:
    """Settings that options of the command line stand above.

    Attributes:
        path: The file that they are from, None without one.
        profile: What the image is meant for.
        select: Codes or prefixes of the rules to run.
        ignore: Codes or prefixes of the rules to leave out.
        parent_dir: Folders for parents, relative to the file.
        fail_on: The least severity that makes the exit status 1.
    """

    path: Path | None = None
    profile: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    parent_dir: tuple[Path, ...] = ()
    fail_on: str | None = None


def find_config(folder: Path) -> Config:
    """Read the nearest settings from `folder` upward; none are no error.

    Raises:
        ConfigError: A file has an unknown key, or a value of the wrong type.
        OSError: It cannot be read.
    """
    for place in (folder, *folder.parents):
        own = place / _OWN_FILE
        if own.is_file():
            return load_config(own)
        project = place / _PROJECT_FILE
        if project.is_file():
            config = _of_project(project)
            if config is not None:
                return config
    return Config()


def load_config(path: Path) -> Config:
    """Read one file; raises as `find_config` does."""
    if path.name == _PROJECT_FILE:
        return _of_project(path) or Config(path)
    return _from_table(path, _read(path))


def _of_project(path: Path) -> Config | None:
    tools = _read(path).get("tool", {})
    table = tools.get("vhdtool") if isinstance(tools, dict) else None
    if table is None:
        return None
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: tool.vhdtool is no table")
    return _from_table(path, table)


def _read(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        with path.open("rb") as file:
            return tomllib.loads(file.read(_MAX_SIZE).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def _from_table(path: Path, table: dict[str, Any]) -> Config:
    for key in table:
        if key not in (*_LISTS, *_WORDS):
            raise ConfigError(f"{path}: unknown key {key!r}", hint=_nearest(key))
    fail_on = table.get("fail-on")
    if fail_on is not None and not isinstance(fail_on, str):
        raise ConfigError(f"{path}: fail-on must be a string, not {fail_on!r}")
    lists = {key: _strings(path, key, table.get(key, [])) for key in _LISTS}
    return Config(
        path=path,
        profile=lists["profile"],
        select=lists["select"],
        ignore=lists["ignore"],
        parent_dir=tuple(path.parent / folder for folder in lists["parent-dir"]),
        fail_on=fail_on,
    )


def _strings(path: Path, key: str, value: object) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
        raise ConfigError(f"{path}: {key} must be a list of strings, not {value!r}")
    return tuple(values)


def _nearest(key: str) -> str:
    from difflib import get_close_matches

    known = sorted((*_LISTS, *_WORDS))
    close = get_close_matches(key.replace("_", "-"), known, 1)
    return f"did you mean {close[0]}?" if close else f"the keys are {', '.join(known)}"
