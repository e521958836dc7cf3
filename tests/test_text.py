"""Text from images must not reach a terminal as it is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vhdtool.text import printable


def test_control_characters_are_escaped() -> None:
    assert printable("a\x1b[31mb\r\n\x7f\x9b") == "a\\x1b[31mb\\x0d\\x0a\\x7f\\x9b"


def test_direction_overrides_and_surrogates_are_escaped() -> None:
    assert printable("\u202egpj.exe\ud800") == "\\u202egpj.exe\\ud800"
    assert printable("\U000e0001") == "\\U000e0001"


def test_names_in_any_script_stay_as_they_are() -> None:
    assert printable(".\\père 基.vhd") == ".\\père 基.vhd"


@given(st.text())
def test_result_is_always_printable(text: str) -> None:
    assert printable(text).isprintable()
