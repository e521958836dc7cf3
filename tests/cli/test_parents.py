"""Where parents may come from, as options of every command that opens images."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from tests.builders import MIB, VhdParent, pattern, relative_locator, write_vhd

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

    Command = Callable[..., Outcome]

SIZE = 24 * MIB
COMMANDS = ("check", "info", "map", "convert", "compare")


@pytest.fixture
def child(tmp_path: Path) -> Path:
    """Make a chain of three, each in a folder of its own."""
    below: VhdParent | None = None
    for level, name in enumerate(("base", "middle", "child")):
        folder = tmp_path / name
        folder.mkdir()
        identity = uuid.UUID(int=level + 1)
        pieces = {level * MIB: pattern(MIB, level + 1)}
        path = folder / f"{name}.vhd"
        write_vhd(path, SIZE, pieces, parent=below, unique_id=identity)
        below = VhdParent(identity, locators=relative_locator(f".\\{name}.vhd"))
    return path


def run(vhdtool: Command, command: str, child: Path, *options: str | Path) -> Outcome:
    rest: list[str | Path] = []
    if command == "convert":
        rest = ["--force", child.parents[1] / "out.vhd"]
    elif command == "compare":
        rest = [child]
    elif command == "check":
        rest = ["--select", "VHD033", "--fail-on", "error"]
    return vhdtool(command, *options, child, *rest)


@pytest.mark.parametrize("command", COMMANDS)
def test_parents_come_from_all_named_folders(vhdtool: Command, child: Path, command: str) -> None:
    top = child.parents[1]
    folders = ["--parent-dir", top / "base", "--parent-dir", top / "middle"]
    done = run(vhdtool, command, child, *folders)
    assert done.status == 0, done.err


@pytest.mark.parametrize("command", COMMANDS)
def test_parents_come_from_nowhere_else(vhdtool: Command, child: Path, command: str) -> None:
    top = child.parents[1]
    done = run(vhdtool, command, child, "--parent-dir", top / "middle")
    assert done.status == 3
    told = done.out if command in ("check", "info") else done.err
    for part in (".\\base.vhd", "not found", str(top / "middle" / "base.vhd")):
        assert part in " ".join(told.split())


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "compare"])
def test_a_named_parent_is_taken(vhdtool: Command, child: Path, command: str) -> None:
    top = child.parents[1]
    middle = (top / "middle" / "middle.vhd").rename(top / "moved.vhd")
    options = ["--parent", middle, "--parent-dir", top / "base"]
    done = run(vhdtool, command, child, *options)
    assert done.status == 0, done.err


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "compare"])
def test_a_wrong_parent_is_told_with_both_identifiers(
    vhdtool: Command, child: Path, command: str
) -> None:
    base = child.parents[1] / "base" / "base.vhd"
    done = run(vhdtool, command, child, "--parent", base)
    assert done.status == (1 if command == "check" else 3)
    told = done.out if command in ("check", "info") else done.err
    for identity in (uuid.UUID(int=1), uuid.UUID(int=2)):
        assert str(identity) in " ".join(told.split())


def test_parent_folders_of_the_configuration_count(
    vhdtool: Command, child: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = child.parents[1]
    (top / "vhdtool.toml").write_text('parent-dir = ["base", "middle"]\n')
    monkeypatch.chdir(top)
    assert run(vhdtool, "check", child).status == 0
    assert run(vhdtool, "check", child, "--no-config").status == 1
