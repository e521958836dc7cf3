"""The configuration file of `check`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vhdtool.cli.config import Config, find_config, load_config
from vhdtool.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def test_the_nearest_file_upward_counts(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "vhdtool.toml").write_text('select = ["VHD"]')
    (tmp_path / "a" / "vhdtool.toml").write_text('ignore = ["DSK101"]\nfail-on = "warning"')
    found = find_config(inner)
    assert found.path == tmp_path / "a" / "vhdtool.toml"
    assert (found.select, found.ignore, found.fail_on) == ((), ("DSK101",), "warning")


def test_a_project_without_our_table_is_passed_over(tmp_path: Path) -> None:
    inner = tmp_path / "a"
    inner.mkdir()
    (inner / "pyproject.toml").write_text("[tool.other]\nselect = 1")
    (tmp_path / "pyproject.toml").write_text('[tool.vhdtool]\nprofile = "azure-gen2"')
    assert find_config(inner).profile == ("azure-gen2",)


def test_our_own_file_stands_above_the_project(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.vhdtool]\nselect = ["VHD"]')
    (tmp_path / "vhdtool.toml").write_text('select = ["DSK"]')
    assert find_config(tmp_path).select == ("DSK",)


def test_no_file_is_no_error(tmp_path: Path) -> None:
    assert find_config(tmp_path) in (Config(), find_config(tmp_path.parent))


def test_folders_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "vhdtool.toml").write_text('parent-dir = ["bases"]')
    assert find_config(tmp_path).parent_dir == (tmp_path / "bases",)


@pytest.mark.parametrize(
    ("text", "words", "hint"),
    [
        ("slect = []", "unknown key 'slect'", "did you mean select?"),
        ("fail_on = 'error'", "unknown key 'fail_on'", "did you mean fail-on?"),
        ("xyzzy = 1", "unknown key 'xyzzy'", "the keys are"),
        ("select = 3", "select must be a list of strings", None),
        ("select = [1]", "select must be a list of strings", None),
        ("fail-on = true", "fail-on must be a string", None),
        ("select = [", "vhdtool.toml", None),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: str, hint: str | None) -> None:
    path = tmp_path / "vhdtool.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words.split("[")[0]) as caught:
        load_config(path)
    if hint:
        assert caught.value.hint is not None
        assert hint in caught.value.hint
