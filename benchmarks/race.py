"""Run commands in turn, several times, and keep what the system says of each whole process."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

WARM_UP = 1
_NOTHING = subprocess.DEVNULL


@dataclass
class Entrant:
    """A command, and what its counted runs took."""

    name: str
    command: list[str]
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    peak_bytes: int = 0

    @property
    def median(self) -> float:
        """Median wall time of a whole process, seconds."""
        return statistics.median(self.seconds)

    @property
    def cpu(self) -> float:
        """Median processor time of a whole process, seconds."""
        return statistics.median(self.cpu_seconds)


def race(entrants: list[Entrant], rounds: int, output: Path | None = None) -> None:
    """Run every entrant once a round, in turn, so that a slow moment of the machine hits all.

    Before each run `output` is removed and what others have left to be written is written, which
    is not counted. The first round is not counted either: it warms the cache.
    """
    for number in range(rounds + WARM_UP):
        for entrant in entrants:
            if output is not None:
                output.unlink(missing_ok=True)
                os.sync()
            _run(entrant, counted=number >= WARM_UP)
    if output is not None:
        output.unlink(missing_ok=True)


def _environment() -> dict[str, str]:
    """Let Python keep its bytecode, as where a tool is installed."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _run(entrant: Entrant, *, counted: bool) -> None:
    start = time.perf_counter()
    process = subprocess.Popen(
        entrant.command, stdout=_NOTHING, stderr=_NOTHING, env=_environment()
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    # `check` ends with 1 where it finds something.
    if process.returncode not in (0, 1):
        raise SystemExit(f"{entrant.name} ended with {process.returncode}: {entrant.command}")
    if counted:
        entrant.seconds.append(seconds)
        entrant.cpu_seconds.append(usage.ru_utime + usage.ru_stime)
        entrant.peak_bytes = max(entrant.peak_bytes, usage.ru_maxrss * 1024)
