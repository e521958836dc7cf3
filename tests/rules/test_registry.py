"""Every rule by its code, and how some of them are chosen."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vhdtool.errors import ConfigError
from vhdtool.rules import registry
from vhdtool.rules.left_out import NOT_IMPLEMENTED
from vhdtool.rules.model import Severity
from vhdtool.rules.registry import rule, rules, select_rules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.disk.facts import DiskFacts
    from vhdtool.rules.model import Hit

CATALOGUE = [f"VHD{number:03}" for number in range(1, 46)]
CATALOGUE += [f"DSK{number}" for number in range(101, 146)]
CATALOGUE += [f"GEN{number}" for number in range(201, 221)]
CATALOGUE += [f"LNX{number}" for number in range(300, 400)]
CATALOGUE += [f"LGN{number}" for number in range(301, 354)]
CATALOGUE += [f"WIN{number}" for number in range(401, 468)]
CATALOGUE += [f"WGN{number}" for number in range(401, 431)]
CATALOGUE += [f"ROL{number}" for number in range(501, 525)]
CATALOGUE += [f"MKT{number}" for number in range(601, 640)]
TEXT = "\n".join(f"## {heading}\nText." for heading in registry.HEADINGS)


def codes(select: tuple[str, ...] = (), ignore: tuple[str, ...] = ()) -> list[str]:
    return [chosen.code for chosen in select_rules(select, ignore)]


# --- what there is


def test_each_code_of_the_catalogue_is_implemented_or_left_out_with_a_reason() -> None:
    assert sorted([*rules(), *NOT_IMPLEMENTED]) == sorted(CATALOGUE)
    assert all(len(reason) > 30 for reason in NOT_IMPLEMENTED.values())


def test_enough_rules_speak_of_partitions() -> None:
    assert sum(code.startswith("DSK") for code in rules()) >= 20


@pytest.mark.parametrize("code", CATALOGUE)
def test_each_rule_is_documented(code: str) -> None:
    if code in NOT_IMPLEMENTED:
        return
    documented = rules()[code]
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+|vhdx", documented.name)
    for text in (
        documented.documentation.what,
        documented.documentation.why,
        documented.documentation.fix,
        documented.documentation.source,
    ):
        assert text
        assert "## " not in text
    assert documented.documentation.source.startswith("- ")


@pytest.mark.parametrize("code", CATALOGUE)
def test_each_rule_has_a_test_that_hits_and_one_that_passes(code: str) -> None:
    if code in NOT_IMPLEMENTED:
        return
    names = _test_names()
    for outcome in ("hits", "passes"):
        start = f"test_{code.lower()}_{outcome}_"
        assert any(name.startswith(start) for name in names), f"no {start}... in tests/rules"


def _test_names() -> list[str]:
    sources = Path(__file__).parent.glob("*/test_*.py")
    definition = re.compile(r"^def (test_\w+)", re.MULTILINE)
    return [name for path in sources for name in definition.findall(path.read_text())]


def test_rules_are_in_the_order_of_their_codes() -> None:
    assert list(rules()) == sorted(rules())


# --- selectors


def test_all_rules_are_chosen_where_none_is_named() -> None:
    assert codes() == list(rules())


def test_rules_are_chosen_by_code_name_and_beginning() -> None:
    assert codes(("VHD007",)) == ["VHD007"]
    assert codes(("vhd007", "virtual-size-not-whole-mib")) == ["VHD007"]
    assert codes(("VHD00",)) == [f"VHD00{digit}" for digit in range(1, 10)]
    assert set(codes(("DSK",))) == {code for code in rules() if code.startswith("DSK")}


def test_ignored_rules_are_left_out() -> None:
    assert codes((), ("DSK", "VHD01", "dynamic-disk")) == [
        code for code in rules() if not code.startswith(("DSK", "VHD01")) and code != "VHD003"
    ]


def test_the_longest_selector_decides() -> None:
    assert codes(("VHD007",), ("VHD",)) == ["VHD007"]
    assert codes(("VHD",), ("VHD0",)) == []
    assert "VHD011" not in codes(("VHD",), ("VHD01",))
    assert codes(("VHD01", "VHD"), ("VHD0",))[:2] == ["VHD010", "VHD011"]
    assert codes(("virtual-size-not-whole-mib",), ("VHD00",)) == ["VHD007"]


def test_ignore_wins_over_an_equal_select() -> None:
    assert codes(("VHD007",), ("VHD007",)) == []
    assert codes(("VHD007",), ("virtual-size-not-whole-mib",)) == []
    assert codes(("VHD",), ("VHD",)) == []


@pytest.mark.parametrize(
    ("selector", "hint"),
    [
        ("VHD0077", "did you mean VHD007?"),
        ("virtual-size-not-hole-mib", "did you mean virtual-size-not-whole-mib?"),
        ("dsk12x", "did you mean DSK12"),
        ("nothing of the kind", "`vhdtool rule --all` lists the rules"),
        ("", "`vhdtool rule --all` lists the rules"),
    ],
)
def test_unknown_selectors_are_told_with_the_closest_rule(selector: str, hint: str) -> None:
    for select, ignore in (((selector,), ()), ((), (selector,))):
        with pytest.raises(ConfigError, match="no rule is called") as caught:
            select_rules(select, ignore)
        assert (caught.value.hint or "").startswith(hint)


# --- registering


def documented(text: str) -> registry.Check:
    def check(facts: DiskFacts) -> Iterator[Hit]:
        yield from ()

    check.__doc__ = text
    return check


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("VHD007", "another-name"),
        ("VHD999", "virtual-size-not-whole-mib"),
        ("vhd999", "another-name"),
        ("VHD99", "another-name"),
        ("VHD999", "Another name"),
    ],
)
def test_codes_and_names_are_unique_and_well_formed(code: str, name: str) -> None:
    rules()
    with pytest.raises(ValueError, match=code):
        rule(code, name, severity=Severity.INFO)(documented(TEXT))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "## What it checks\nText.",
        TEXT.replace("Source", "Sources"),
        TEXT.replace("## Why it matters\nText.", "## Why it matters\n"),
        TEXT + "\n## More\nText.",
    ],
)
def test_headings_are_required(text: str) -> None:
    with pytest.raises(ValueError, match="must have the headings"):
        rule("VHD999", "another-name", severity=Severity.INFO)(documented(text))
    assert "VHD999" not in rules()
