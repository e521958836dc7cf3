"""Progress of long work on stderr: a bar for people, JSON lines for programs."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from vhdtool.units import short_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vhdtool._native import Job

T = TypeVar("T")

MODES = ("auto", "json", "none")
_INTERVAL = 0.2
_FIRST = 0.5  # work that is done sooner needs no bar
_BAR_WIDTH = 24
_PATIENCE = 5.0


def with_progress(work: Callable[[], T], job: Job, mode: str = "auto") -> T:
    """Do work in another thread, so that Ctrl-C reaches it by way of the job, and show it.

    Raises:
        Whatever `work` raises; KeyboardInterrupt and SystemExit after the work has stopped.
    """
    outcome: list[T] = []
    failure: list[BaseException] = []
    # Not Thread.join: after a signal Python takes a thread that still runs for one that has ended.
    ended = threading.Event()

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            failure.append(error)
        finally:
            ended.set()

    display = _display(mode)
    start = time.monotonic()
    try:
        threading.Thread(target=run, daemon=True).start()
        wait = _FIRST
        while not ended.wait(wait):
            wait = _INTERVAL
            display.show(job.done, job.total, time.monotonic() - start)
    except BaseException:
        with _undisturbed():
            job.cancel()
            ended.wait(_PATIENCE)
        raise
    finally:
        display.close(job.done, job.total, time.monotonic() - start)
    if failure:
        raise failure[0]
    return outcome[0]


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let no second Ctrl-C keep the work from cleaning up."""
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Silent:
    """Shows nothing."""

    def show(self, done: int, total: int | None, seconds: float) -> None:
        """Show how far the work is."""

    def close(self, done: int, total: int | None, seconds: float) -> None:
        """Show the end of the work."""


class _JsonLines(_Silent):
    def show(self, done: int, total: int | None, seconds: float) -> None:
        self._print("progress", done, total, seconds)

    def close(self, done: int, total: int | None, seconds: float) -> None:
        self._print("end", done, total, seconds)

    @staticmethod
    def _print(event: str, done: int, total: int | None, seconds: float) -> None:
        line = {
            "event": event,
            "done_bytes": done,
            "total_bytes": total,
            "seconds": round(seconds, 3),
        }
        print(json.dumps(line), file=sys.stderr, flush=True)


class _Bar(_Silent):
    def __init__(self) -> None:
        self._shown = False

    def show(self, done: int, total: int | None, seconds: float) -> None:
        columns = shutil.get_terminal_size().columns - 1
        line = bar_line(done, total, seconds)[:columns]
        print(f"\r{line.ljust(columns)}", end="", file=sys.stderr, flush=True)
        self._shown = True

    def close(self, done: int, total: int | None, seconds: float) -> None:
        if self._shown:
            columns = shutil.get_terminal_size().columns - 1
            print(f"\r{' ' * columns}\r", end="", file=sys.stderr, flush=True)


def bar_line(done: int, total: int | None, seconds: float) -> str:
    """Write one line: how much of what, how fast, how much longer."""
    rate = done / seconds if seconds > 0 else 0.0
    if not total:
        return f"{short_size(done)}  {short_size(rate)}/s"
    share = min(1.0, done / total)
    filled = int(share * _BAR_WIDTH)
    drawn = "#" * filled + "." * (_BAR_WIDTH - filled)
    left = f"  {_duration((total - done) / rate)} left" if 0 < done < total else ""
    return (
        f"{share:4.0%} [{drawn}] {short_size(done)} of {short_size(total)}  "
        f"{short_size(rate)}/s{left}"
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _display(mode: str) -> _Silent:
    if mode == "json":
        return _JsonLines()
    return _Bar() if mode == "auto" and sys.stderr.isatty() else _Silent()
