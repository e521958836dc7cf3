"""A rule as a page."""

from __future__ import annotations

from vhdtool.report.rule_report import render_text
from vhdtool.rules.model import Documentation, Profile, Rule, Severity

RULE = Rule(
    "VHD900",
    "too-blue",
    Severity.WARNING,
    frozenset((Profile.GEN2, Profile.GEN1)),
    "0.1",
    Documentation(
        what="The disk is not blue.\nA second line.",
        why="- It is\nseen.\n- It lasts.\n\nAnother paragraph.",
        fix="Paint it: `vhdtool paint --colour RED IMAGE`, then look.",
        source="- Field knowledge",
    ),
    lambda _facts: iter(()),
)


def test_a_page_has_every_part_wrapped_with_items_hanging_and_commands_whole() -> None:
    assert render_text(([RULE], {}), 40) == (
        "VHD900 too-blue\n"
        "\n"
        "Severity  warning\n"
        "Profiles  azure-gen1, azure-gen2\n"
        "Since     0.1\n"
        "\n"
        "What it checks\n"
        "  The disk is not blue. A second line.\n"
        "\n"
        "Why it matters\n"
        "  - It is seen.\n"
        "  - It lasts.\n"
        "  Another paragraph.\n"
        "\n"
        "How to fix\n"
        "  Paint it:\n"
        "  `vhdtool paint --colour RED IMAGE`,\n"
        "  then look.\n"
        "\n"
        "Source\n"
        "  - Field knowledge\n"
    )


def test_what_is_left_out_is_grouped_by_reason() -> None:
    left_out = {"VHD901": "it is dull", "VHD902": "it is red", "VHD903": "it is dull"}
    assert render_text(([RULE], left_out), 80) == (
        "code    severity  name      profiles\n"
        "VHD900  warning   too-blue  azure-gen1, azure-gen2\n"
        "\n"
        "In the catalogue but left out of this version:\n"
        "- VHD901, VHD903: it is dull\n"
        "- VHD902: it is red\n"
    )
