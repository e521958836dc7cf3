"""A crash at any step of an in-place change leaves the old file, the new, or a way to both."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vhdtool.disk import journal
from vhdtool.disk.edits import Edits, Span
from vhdtool.disk.journal import Journal, find_journal, journal_path
from vhdtool.errors import CorruptImage, OutputError

if TYPE_CHECKING:
    from pathlib import Path

OLD = bytes(range(256)) * 8


class Bytes:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def read_at(self, offset: int, length: int, /) -> bytes:
        return self.data[offset : offset + length]


class Crash(BaseException):
    """Stands for kill -9: nothing after it runs."""


def edited(old: bytes, kind: str) -> tuple[bytes, Journal]:
    edits = Edits(Bytes(old), len(old))
    if kind == "grow":
        edits.write(100, b"x" * 50, "x")
        edits.write(len(old) + 1000, b"y" * 512, "y")
    elif kind == "shrink":
        edits.truncate(len(old) - 700, "cut")
        edits.write(0, b"z" * 600, "z")
    else:
        edits.write(10, b"a" * 10, "a")
        edits.write(1000, b"b" * 700, "b")
    return edits.read_at(0, edits.size), Journal(edits.old_size, edits.size, edits.spans())


class Crashing:
    """Counts the steps that reach the system, and crashes at one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int | None) -> None:
        self.steps = 0
        self.at = at
        for name in ("fsync",):
            self._wrap(monkeypatch, os, name)
        self._wrap(monkeypatch, journal, "_sync_folder")
        self._wrap(monkeypatch, journal, "_write_span")
        self._wrap(monkeypatch, journal, "_set_size")
        self._wrap(monkeypatch, journal, "_remove")

    def _wrap(self, monkeypatch: pytest.MonkeyPatch, where: object, name: str) -> None:
        function = getattr(where, name)

        def step(*arguments: object) -> object:
            self.steps += 1
            if self.steps == self.at:
                if name == "_write_span":
                    self._half(*arguments)  # type: ignore[arg-type]
                raise Crash
            return function(*arguments)

        monkeypatch.setattr(where, name, step)

    @staticmethod
    def _half(file: BinaryIO, span: Span) -> None:
        """Leave a write torn between two sectors."""
        whole = 512 - span.offset % 512
        file.seek(span.offset)
        file.write(span.after[:whole])
        file.flush()


def steps_of(kind: str, tmp_path: Path) -> int:
    image = tmp_path / "count"
    image.write_bytes(OLD)
    with pytest.MonkeyPatch.context() as monkeypatch:
        counting = Crashing(monkeypatch, None)
        journal.start(image, edited(OLD, kind)[1])
        return counting.steps


@pytest.mark.parametrize("kind", ["grow", "shrink", "same size"])
def test_a_crash_at_every_step_can_be_completed_and_undone(tmp_path: Path, kind: str) -> None:
    new, entry = edited(OLD, kind)
    steps = steps_of(kind, tmp_path)
    assert steps >= 6
    for at in range(1, steps + 1):
        for wanted in ("new", "old"):
            image = tmp_path / "image"
            image.write_bytes(OLD)
            with pytest.MonkeyPatch.context() as monkeypatch:
                Crashing(monkeypatch, at)
                with pytest.raises(Crash):
                    journal.start(image, entry)
            left = find_journal(image)
            if left is None:
                assert image.read_bytes() in (OLD, new), f"step {at}: neither old nor new"
                continue
            if wanted == "new":
                journal.resume(image, left)
                assert image.read_bytes() == new, f"step {at}"
            else:
                journal.undo(image, left)
                assert image.read_bytes() == OLD, f"step {at}"
            assert not journal_path(image).exists()


@pytest.mark.parametrize("kind", ["grow", "shrink", "same size"])
def test_a_crash_while_undoing_can_still_be_completed(tmp_path: Path, kind: str) -> None:
    new, entry = edited(OLD, kind)
    for at in range(1, 5):
        image = tmp_path / "image"
        image.write_bytes(new)
        journal_path(image).write_bytes(entry.encode())
        with pytest.MonkeyPatch.context() as monkeypatch:
            Crashing(monkeypatch, at)
            with pytest.raises(Crash):
                journal.undo(image, entry)
        if find_journal(image) is not None:
            journal.resume(image, entry)
            assert image.read_bytes() == new
        else:
            assert image.read_bytes() == OLD


def test_a_journal_of_another_image_is_refused(tmp_path: Path) -> None:
    _, entry = edited(OLD, "same size")
    image = tmp_path / "image"
    image.write_bytes(b"q" * len(OLD))
    with pytest.raises(CorruptImage, match="neither old nor new"):
        journal.resume(image, entry)
    assert image.read_bytes() == b"q" * len(OLD)


def test_a_journal_for_another_length_is_refused(tmp_path: Path) -> None:
    _, entry = edited(OLD, "same size")
    image = tmp_path / "image"
    image.write_bytes(OLD + b"more")
    with pytest.raises(CorruptImage, match="the image has 2052 bytes"):
        journal.undo(image, entry)


def test_a_damaged_journal_is_told_apart_from_none(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(OLD)
    assert find_journal(image) is None
    data = bytearray(edited(OLD, "grow")[1].encode())
    data[-10] ^= 1
    journal_path(image).write_bytes(data)
    with pytest.raises(CorruptImage, match="checksum is wrong"):
        find_journal(image)


def test_an_image_that_changed_after_the_plan_is_refused(tmp_path: Path) -> None:
    _, entry = edited(OLD, "same size")
    image = tmp_path / "image"
    image.write_bytes(b"!" * len(OLD))
    with pytest.raises(OutputError, match="changed while it was read"):
        journal.start(image, entry)
    assert not journal_path(image).exists()


def test_two_processes_do_not_change_an_image_at_once(tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl", reason="file locks are a Unix matter")
    image = tmp_path / "image"
    image.write_bytes(OLD)
    with image.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match="another process"):
            journal.start(image, edited(OLD, "grow")[1])
    assert image.read_bytes() == OLD


writes = st.tuples(
    st.just("write"), st.integers(0, 700), st.binary(min_size=1, max_size=200)
) | st.tuples(st.just("cut"), st.integers(0, 400), st.just(b""))


@given(st.binary(max_size=500), st.lists(writes, max_size=8))
def test_spans_lead_from_the_old_bytes_to_the_new_and_back(
    old: bytes, steps: list[tuple[str, int, bytes]]
) -> None:
    edits = Edits(Bytes(old), len(old))
    expected = bytearray(old)
    for kind, offset, data in steps:
        if kind == "cut":
            if offset < edits.size:
                edits.truncate(offset, "")
                del expected[offset:]
        else:
            edits.write(offset, data, "")
            if expected[offset : offset + len(data)] != data:
                expected.extend(bytes(max(0, offset + len(data) - len(expected))))
                expected[offset : offset + len(data)] = data
    assert edits.read_at(0, edits.size) == expected
    forward, back = bytearray(old), bytearray(expected)
    forward.extend(bytes(max(0, edits.size - len(old))))
    back.extend(bytes(max(0, len(old) - edits.size)))
    for span in edits.spans():
        forward[span.offset : span.offset + len(span.after)] = span.after
        back[span.offset : span.offset + len(span.before)] = span.before
    assert forward[: edits.size] == expected
    assert back[: len(old)] == old
