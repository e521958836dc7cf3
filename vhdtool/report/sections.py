"""What `vhdtool info` says: titled lists of fields, as text or JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vhdtool.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Value = str | int | bool | None


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a structure.

    Attributes:
        name: As in the format's specification, in snake case.
        value: What is there, for programs.
        text: The same for people, if that is more than `value`.
        expected: What a sound image has there, if that is something else.
    """

    name: str
    value: Value
    text: str | None = None
    expected: str | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A structure: its fields, or rows of a table with `columns`."""

    title: str
    fields: tuple[Field, ...] = ()
    offset: int | None = None
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Value, ...], ...] = ()
    problem: str | None = None


def render_text(sections: Sequence[Section]) -> Iterator[str]:
    """Yield lines: a heading for each section, then aligned fields or a table."""
    for number, section in enumerate(sections):
        if number:
            yield ""
        where = "" if section.offset is None else f" at {section.offset:#x}"
        yield f"{section.title}{where}"
        if section.problem is not None:
            yield f"  damaged: {printable(section.problem)}"
        yield from _field_lines(section.fields)
        yield from _table_lines(section)


def _field_lines(fields: Sequence[Field]) -> Iterator[str]:
    width = max((len(field.name) for field in fields), default=0)
    for field in fields:
        text = _text(field.value) if field.text is None else field.text
        line = f"  {field.name.replace('_', ' '):<{width}}  {printable(text)}"
        if field.expected is not None:
            line += f"   <- expected {printable(field.expected)}"
        yield line


def _table_lines(section: Section) -> Iterator[str]:
    if not section.columns:
        return
    table = [
        section.columns,
        *(tuple(printable(_text(cell)) for cell in row) for row in section.rows),
    ]
    widths = [max(len(row[at]) for row in table) for at in range(len(section.columns))]
    numeric = [all(isinstance(row[at], int) for row in section.rows) for at in range(len(widths))]
    for row in table:
        cells = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        )
        yield f"  {'  '.join(cells)}".rstrip()


def _text(value: Value) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def render_json(sections: Sequence[Section]) -> str:
    """Return the sections as JSON; names are those of the text."""
    return json.dumps(
        {"schema_version": 1, "sections": [_as_json(section) for section in sections]}, indent=2
    )


def _as_json(section: Section) -> dict[str, object]:
    answer: dict[str, object] = {"title": section.title}
    if section.offset is not None:
        answer["offset"] = section.offset
    if section.problem is not None:
        answer["problem"] = section.problem
    if section.columns:
        keys = [column.replace(" ", "_") for column in section.columns]
        answer["rows"] = [dict(zip(keys, row, strict=True)) for row in section.rows]
    else:
        answer["fields"] = {field.name: field.value for field in section.fields}
        answer["damaged"] = [
            {"field": field.name, "value": field.value, "expected": field.expected}
            for field in section.fields
            if field.expected is not None
        ]
    return answer
