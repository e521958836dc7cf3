"""Workers that behave, hang, eat, die; nothing of them is left behind."""

from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from vhdtool.errors import ConfigError, GuestError
from vhdtool.guest.worker import Limits, WorkerEnded, _take, work_apart
from vhdtool.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.worker import Send


OPEN_FILES = Path("/proc/self/fd")


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No zombie, no open pipe."""
    before = list(OPEN_FILES.iterdir())
    yield
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert len(list(OPEN_FILES.iterdir())) == len(before)


def answers(task: Any, **limits: Any) -> list[Any]:
    return list(work_apart(task, Limits(**limits)))


def test_answers_come_back_as_plain_data() -> None:
    def task(send: Send) -> None:
        send({"text": "caf\udce9", "numbers": [1, None, 2.5]})
        send(b"raw \x00\xff")
        send("")

    assert answers(task) == [{"text": "caf\udce9", "numbers": [1, None, 2.5]}, b"raw \x00\xff", ""]


def test_worker_sees_what_is_open_and_changes_nothing_here() -> None:
    seen: list[int] = []

    def task(send: Send) -> None:
        seen.append(1)
        send([os.getpid(), seen])

    ((pid, there),) = answers(task)
    assert pid != os.getpid()
    assert there == [1]
    assert seen == []


def test_large_answers_come_whole() -> None:
    def task(send: Send) -> None:
        for number in range(8):
            send(bytes([number]) * (3 * MIB + number))

    assert [len(data) for data in answers(task)] == [3 * MIB + n for n in range(8)]


@pytest.mark.parametrize(
    ("error", "expected"),
    [(GuestError("no inode 5", hint="look"), GuestError), (ConfigError("what?"), ConfigError)],
)
def test_errors_of_the_task_are_raised_here(error: Exception, expected: type[Exception]) -> None:
    def task(send: Send) -> None:
        send("first")
        raise error

    found = work_apart(task)
    assert next(found) == "first"
    with pytest.raises(expected, match=str(error).replace("?", ".")) as caught:
        next(found)
    assert type(caught.value) is expected
    assert caught.value.hint == error.hint  # type: ignore[attr-defined]


def test_bug_in_the_task_is_called_one() -> None:
    def task(send: Send) -> None:
        raise KeyError("x")

    with pytest.raises(WorkerEnded, match="this is a bug in vhdtool: KeyError: 'x'"):
        answers(task)


def test_hang_is_stopped() -> None:
    def task(send: Send) -> None:
        while True:
            pass

    started = time.monotonic()
    with pytest.raises(WorkerEnded, match=r"longer than 0\.3 seconds"):
        answers(task, seconds=0.3)
    assert time.monotonic() - started < 10


def test_sleep_is_stopped_after_what_it_answered() -> None:
    def task(send: Send) -> None:
        send(1)
        time.sleep(100)

    found = work_apart(task, Limits(seconds=0.3))
    assert next(found) == 1
    with pytest.raises(WorkerEnded, match="longer"):
        next(found)


def test_time_of_whoever_takes_the_answers_does_not_count() -> None:
    def task(send: Send) -> None:
        for _ in range(4):
            send(b"x" * MIB)

    taken = 0
    for data in work_apart(task, Limits(seconds=0.5, whole=False)):
        time.sleep(0.3)
        taken += len(data)
    assert taken == 4 * MIB


def test_time_between_answers_is_bounded_where_the_whole_is_not() -> None:
    def task(send: Send) -> None:
        for _ in range(3):
            time.sleep(0.3)
            send(1)
        time.sleep(100)

    found = work_apart(task, Limits(seconds=0.8, whole=False))
    assert [next(found), next(found), next(found)] == [1, 1, 1]
    with pytest.raises(WorkerEnded, match="longer"):
        next(found)


@pytest.mark.skipif(sys.platform != "linux", reason="address space is bounded on Linux only")
def test_memory_is_bounded() -> None:
    def task(send: Send) -> None:
        send(len(bytes(80 * MIB)))

    assert answers(task, memory=256 * MIB) == [80 * MIB]

    def too_much(send: Send) -> None:
        send(len(bytes(2048 * MIB)))

    with pytest.raises(WorkerEnded, match="needed more than 64 MiB"):
        answers(too_much, memory=64 * MIB)


def test_death_says_its_signal_and_its_last_words() -> None:
    def task(send: Send) -> None:
        faulthandler.disable()  # pytest's
        os.write(2, b"warning\nmemory allocation of \x1b 9 bytes failed\n")
        os.kill(os.getpid(), signal.SIGABRT)

    with pytest.raises(WorkerEnded, match=r"SIGABRT\): memory allocation of \\x1b 9 bytes failed"):
        answers(task)


def test_exit_without_a_word_is_an_end() -> None:
    def task(send: Send) -> None:
        send("something")
        os._exit(7)

    with pytest.raises(WorkerEnded, match="ended with status 7"):
        answers(task)


def test_words_without_end_do_not_block_it() -> None:
    def task(send: Send) -> None:
        for _ in range(100):
            try:
                os.write(2, b"x" * 65536)
            except BlockingIOError:
                break
        send("done")

    assert answers(task) == ["done"]


_PRINTS = """
import sys
from vhdtool.guest.worker import work_apart
def task(send):
    print("to stdout", flush=True)
    print("to stderr", file=sys.stderr, flush=True)
print("ours", end="")
assert list(work_apart(task)) == []
"""


def test_what_it_prints_is_no_answer_of_ours() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PRINTS], capture_output=True, timeout=50, check=True
    )
    assert (done.stdout, done.stderr) == (b"ours", b"")


@pytest.mark.parametrize("data", [b"\x80\x04pickle", b"j\xff\xff\xff\xff"])
def test_answer_that_makes_no_sense_is_refused(data: bytes) -> None:
    with pytest.raises(WorkerEnded, match="makes no sense"):
        _take(bytearray(data))


def test_who_stops_listening_ends_it() -> None:
    def task(send: Send) -> None:
        send(os.getpid())
        time.sleep(100)

    found = work_apart(task)
    pid = next(found)
    found.close()  # type: ignore[attr-defined]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


_INTERRUPTED = """
import os, time
from vhdtool.guest.worker import work_apart
def task(send):
    send(os.getpid())
    time.sleep(100)
for pid in work_apart(task):
    print(pid, flush=True)
"""


def test_ctrl_c_ends_it_too() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _INTERRUPTED],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert b"KeyboardInterrupt" in errors
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
