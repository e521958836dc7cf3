"""Runs vhdtool commands in forked children: a fresh process for each, without a fresh start.

Speaks JSON lines: a request `{"argv": [...], "timeout": 20, "kill_after": 0.01}` gives a reply
with the exit status, seconds, peak memory and what the command printed.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

ADDRESS_SPACE = 4 << 30  # a runaway allocation ends in MemoryError, not in a sick machine
OUTPUT_LIMIT = 64 << 10


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended; `status` is negative for the signal that ended it."""

    status: int
    seconds: float
    peak_kib: int
    output: str
    timed_out: bool


class ForkServer:
    """A warm vhdtool process that forks a child for each command."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.forkserver"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )

    def run(
        self, *argv: str | Path, timeout: float = 20, kill_after: float | None = None
    ) -> Outcome:
        """Run `vhdtool ARGV` to its end, to its time-out, or until it is killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {
            "argv": [str(word) for word in argv],
            "timeout": timeout,
            "kill_after": kill_after,
        }
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return Outcome(**json.loads(self._process.stdout.readline()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


def _child(argv: list[str], output: int) -> None:
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    from tests.soak import walk
    from vhdtool.__main__ import main

    sys.argv = ["vhdtool", *argv]
    status = 70
    try:
        if argv[0] == "walk":
            sys.exit(walk.main(argv[1]))
        main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException as error:  # noqa: BLE001 - whatever escapes is the finding
        print(f"escaped from main: {error!r}", file=sys.stderr)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _serve(request: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryFile() as output:
        start = time.monotonic()
        child = os.fork()
        if child == 0:
            _child(request["argv"], output.fileno())
        deadline = start + request["timeout"]
        kill_at = None if request["kill_after"] is None else start + request["kill_after"]
        timed_out = False
        while True:
            pid, status, usage = os.wait4(child, os.WNOHANG)
            now = time.monotonic()
            if pid:
                break
            if now > deadline or (kill_at is not None and now > kill_at):
                timed_out = kill_at is None
                os.kill(child, signal.SIGKILL)
                kill_at = deadline = float("inf")
            time.sleep(0 if kill_at is not None else 0.0005)
        output.seek(0)
        text = output.read(OUTPUT_LIMIT).decode(errors="replace")
    return {
        "status": os.waitstatus_to_exitcode(status),
        "seconds": time.monotonic() - start,
        "peak_kib": usage.ru_maxrss,
        "output": text,
        "timed_out": timed_out,
    }


def _main() -> None:
    # Everything that a command imports is loaded once, before the first fork.
    from vhdtool.cli.app import COMMANDS
    from vhdtool.rules.registry import rules

    for command in COMMANDS:
        __import__(f"vhdtool.cli.{command}")
    for module in ("vhdtool.__main__", "vhdtool.rules.inside", "tests.soak.walk"):
        __import__(module)
    rules()
    os.environ.pop("VHDTOOL_DEBUG", None)
    for line in sys.stdin:
        print(json.dumps(_serve(json.loads(line))), flush=True)


if __name__ == "__main__":
    _main()
