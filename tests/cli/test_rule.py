"""`vhdtool rule`: one rule in full, or all of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from vhdtool.rules.left_out import NOT_IMPLEMENTED
from vhdtool.rules.registry import rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Outcome

    Command = Callable[..., Outcome]

RULES = rules()


@pytest.fixture(params=[40, 80, 200])
def columns(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("COLUMNS", str(request.param))
    return int(request.param)


@pytest.mark.parametrize("name", ["VHD003", "vhd003", "dynamic-disk", "Dynamic-Disk"])
def test_a_rule_goes_by_code_or_name_in_any_case(vhdtool: Command, name: str) -> None:
    assert vhdtool("rule", name).out.startswith("VHD003 dynamic-disk\n")


def test_every_rule_is_wrapped_to_the_terminal_without_breaking_commands(
    vhdtool: Command, columns: int
) -> None:
    for code, rule in RULES.items():
        shown = vhdtool("rule", code).out
        words = " ".join(shown.split())
        for part in ("what", "why", "fix", "source"):
            assert " ".join(getattr(rule.documentation, part).split()) in words
        for line in shown.splitlines():
            assert line.count("`") % 2 == 0
            # A command, or one long word such as a path, is not cut.
            is_whole = "`" in line or line.startswith("Profiles ") or " " not in line.strip()
            assert len(line) <= min(columns, 100) or is_whole


def test_all_rules_are_a_table_with_what_is_left_out(vhdtool: Command, columns: int) -> None:
    done = vhdtool("rule", "--all")
    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[0].split() == ["code", "severity", "name", "profiles"]
    assert [line[:6] for line in lines[1 : len(RULES) + 1]] == list(RULES)
    assert "VHD003  error     dynamic-disk " in done.out
    left_out = " ".join(lines[len(RULES) + 1 :])
    for code, reason in NOT_IMPLEMENTED.items():
        assert code in left_out
        assert reason in " ".join(left_out.split())


def test_a_rule_that_is_left_out_is_answered_with_the_reason(vhdtool: Command) -> None:
    done = vhdtool("rule", "VHD039")
    assert done.status == 0
    assert done.out.startswith("In the catalogue but left out of this version:\n- VHD039: ")
    shown: Any = json.loads(vhdtool("rule", "vhd039", "--format", "json").out)
    assert shown["rules"] == []
    assert shown["left_out"] == [{"code": "VHD039", "reason": NOT_IMPLEMENTED["VHD039"]}]


def test_the_beginning_of_codes_lists_them(vhdtool: Command) -> None:
    lines = vhdtool("rule", "dsk14").out.splitlines()
    codes = [code for code in RULES if code.startswith("DSK14")]
    assert [line[:6] for line in lines[1 : len(codes) + 1]] == codes
    assert any(line.startswith("- DSK142") for line in lines)
    assert not any("VHD" in line for line in lines)


def test_json_has_the_same_keys_for_one_and_for_all(vhdtool: Command) -> None:
    one = json.loads(vhdtool("rule", "VHD007", "--format", "json").out)
    every = json.loads(vhdtool("rule", "--all", "--format", "json").out)
    assert one["schema_version"] == every["schema_version"] == 1
    assert one["rules"] == [rule for rule in every["rules"] if rule["code"] == "VHD007"]
    assert [rule["code"] for rule in every["rules"]] == list(RULES)
    assert {entry["code"] for entry in every["left_out"]} == set(NOT_IMPLEMENTED)
    assert one["left_out"] == []


@pytest.mark.parametrize(
    ("arguments", "words", "hint"),
    [
        (["VHD907"], "no rule is called 'VHD907'", "did you mean VHD0"),
        (["xyzzy"], "no rule is called 'xyzzy'", "`vhdtool rule --all` lists them"),
        (["dynamic-dsk"], "no rule is called", "did you mean dynamic-disk or "),
        (["evil\x1b[31m"], "no rule is called 'evil\\x1b[31m'", "--all"),
        ([], "name one rule, or --all", "--all"),
        (["VHD007", "--all"], "name one rule, or --all", "--all"),
        (["VHD007", "--format", "yaml"], "--format: 'yaml'", ""),
    ],
)
def test_wrong_usage_is_status_2_with_a_hint(
    vhdtool: Command, arguments: list[str], words: str, hint: str
) -> None:
    done = vhdtool("rule", *arguments)
    assert (done.status, done.out) == (2, "")
    assert words in done.err
    assert hint in done.err


def test_no_rule_is_left_out_that_is_there() -> None:
    assert not RULES.keys() & NOT_IMPLEMENTED.keys()
