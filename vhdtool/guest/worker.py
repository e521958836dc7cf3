"""Work on what a disk says, done in a process of its own with bounds on memory and time.

No disk can then take more than that process down. Answers come back over a pipe as JSON or raw
bytes; nothing that a process which parsed a hostile disk sends is ever run.

Where there is no fork (Windows) the work is done in this process, without the bounds.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import struct
import sys
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from vhdtool.errors import ConfigError, GuestError, VhdtoolError
from vhdtool.text import printable
from vhdtool.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Answer = Any  # bytes, or what JSON can say
    Send = Callable[[Answer], None]
    Task = Callable[[Send], None]

_HEADER = struct.Struct("<cI")
_BYTES, _JSON, _ERROR = b"b", b"j", b"e"
_MOST_OF_ONE = 64 * MIB
_PIPE_READ = MIB
_LAST_WORDS = 4096
_PAGE = 4096 if not hasattr(os, "sysconf") else os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a worker may take.

    Attributes:
        memory: Bytes of address space above what this process has.
        seconds: Of the clock, and of the processor.
        whole: Whether `seconds` bounds the whole work, or the time from one answer to the next:
            for a file that is copied out, which may be long.
    """

    memory: int = 512 * MIB
    seconds: float = 20.0
    whole: bool = True


class WorkerEnded(GuestError):
    """A worker died, or was stopped at one of its limits."""


def work_apart(task: Task, limits: Limits | None = None) -> Iterator[Answer]:
    """Run `task(send)` in a process of its own; yield what it sends, as it comes.

    Args:
        task: What to do. It sees everything that this process has open. What it sends is bytes, or
            what JSON can say: tuples arrive as lists.
        limits: What it may take.

    Raises:
        WorkerEnded: It was stopped at a limit, or died; the message says what ended it.
        VhdtoolError: The task raised it.
    """
    limits = limits or Limits()
    if not hasattr(os, "fork"):
        yield from _work_here(task)
        return
    reading, writing = os.pipe()
    last_words, stderr = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 warns where there are threads; none of ours holds a lock that a reader needs.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        _be_worker(task, limits, writing, stderr)
    os.close(writing)
    os.close(stderr)
    try:
        yield from _answers(reading, limits)
        status = _reap(child)
        child = 0
        if status != 0:
            raise WorkerEnded(_say_end(status, limits, _words(last_words)))
    finally:
        os.close(reading)
        os.close(last_words)
        if child:
            os.kill(child, signal.SIGKILL)
            _reap(child)


def _reap(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _work_here(task: Task) -> Iterator[Answer]:
    answers: list[Answer] = []
    task(answers.append)
    yield from answers


def _answers(pipe: int, limits: Limits) -> Iterator[Answer]:
    """Yield answers until the pipe closes; time is counted only while waiting for them."""
    buffer = bytearray()
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    left = limits.seconds
    while True:
        while (answer := _take(buffer)) is not None:
            kind, data = answer
            if kind == _ERROR:
                _raise(json.loads(data))
            yield data if kind == _BYTES else json.loads(data)
            if not limits.whole:
                left = limits.seconds
        started = time.monotonic()
        if not poll.poll(max(0, left) * 1000):
            raise WorkerEnded(f"it took longer than {limits.seconds:g} seconds, and was stopped")
        left -= time.monotonic() - started
        data = os.read(pipe, _PIPE_READ)
        if not data:
            return
        buffer += data


def _take(buffer: bytearray) -> tuple[bytes, bytes] | None:
    """Take one whole message off the front of the buffer."""
    if len(buffer) < _HEADER.size:
        return None
    kind, length = _HEADER.unpack_from(buffer)
    if kind not in (_BYTES, _JSON, _ERROR) or length > _MOST_OF_ONE:
        raise WorkerEnded("its answer makes no sense")
    end = _HEADER.size + length
    if len(buffer) < end:
        return None
    data = bytes(buffer[_HEADER.size : end])
    del buffer[:end]
    return kind, data


def _raise(error: dict[str, Any]) -> NoReturn:
    """Raise again what the task raised."""
    kinds = {"usage": ConfigError, "guest": GuestError, "ended": WorkerEnded}
    raise kinds[error["kind"]](error["message"], hint=error["hint"])


def _say_end(status: int, limits: Limits, words: str) -> str:
    """Say what ended a worker, from its exit status (negative: a signal)."""
    if status == -getattr(signal, "SIGXCPU", 0) or status == -signal.SIGALRM:
        return f"it took longer than {limits.seconds:g} seconds, and was stopped"
    after = f": {words}" if words else ""
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = "unknown"
        return f"it was ended by signal {-status} ({name}){after}"
    return f"it ended with status {status}{after}"


def _words(pipe: int) -> str:
    """Return the last line that a worker wrote on its stderr, if there is one."""
    os.set_blocking(pipe, False)
    try:
        lines = os.read(pipe, _LAST_WORDS).decode(errors="replace").split("\n")
    except BlockingIOError:
        return ""
    return printable(next((line for line in reversed(lines) if line.strip()), ""))


def _be_worker(task: Task, limits: Limits, writing: int, stderr: int) -> NoReturn:
    """Do the work and end the process, whatever happens: nothing may return into the caller."""
    status = 1
    try:
        gc.freeze()
        os.set_blocking(stderr, False)
        os.dup2(stderr, 2)
        os.dup2(os.open(os.devnull, os.O_RDWR), 1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        _bound(limits)

        def send(answer: Answer) -> None:
            if isinstance(answer, bytes):
                _write(writing, _BYTES, answer)
            else:
                _write(writing, _JSON, json.dumps(answer).encode())
            if not limits.whole:
                _bound_time(limits)

        try:
            task(send)
        except BaseException as error:  # noqa: BLE001 - even a panic of the native core
            _write(writing, _ERROR, json.dumps(_describe(error, limits)).encode())
        status = 0
    finally:
        os._exit(status)


def _write(pipe: int, kind: bytes, data: bytes) -> None:
    if len(data) > _MOST_OF_ONE:
        raise GuestError(f"an answer of {len(data)} bytes is too long")
    view = memoryview(_HEADER.pack(kind, len(data)) + data)
    while view:
        view = view[os.write(pipe, view) :]


def _describe(error: BaseException, limits: Limits) -> dict[str, str | None]:
    if isinstance(error, VhdtoolError):
        kind = "usage" if isinstance(error, ConfigError) else "guest"
        return {"kind": kind, "message": str(error), "hint": error.hint}
    if isinstance(error, MemoryError):
        text = f"it needed more than {limits.memory // MIB} MiB"
    elif isinstance(error, RecursionError):
        text = "it is nested too deeply"
    else:
        text = f"this is a bug in vhdtool: {type(error).__name__}: {error}"
    return {"kind": "ended", "message": text, "hint": None}


def _bound(limits: Limits) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _bound_time(limits)
    taken = _address_space()
    if taken is not None:
        most = taken + limits.memory
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def _bound_time(limits: Limits) -> None:
    """Bound the processor time from here on; of the whole work the clock too.

    The process that waits keeps the clock; this one ends even if nobody waits any more.
    """
    import resource

    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = usage.ru_utime + usage.ru_stime
    most = int(used + limits.seconds) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (most, hard))
    if limits.whole:
        signal.setitimer(signal.ITIMER_REAL, limits.seconds + 1)


def _address_space() -> int | None:
    """Return the bytes of address space that this process has, None where that is not known."""
    if not sys.platform.startswith("linux"):
        return None
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - pathlib may not be loaded
        return int(file.read().split()[0]) * _PAGE
