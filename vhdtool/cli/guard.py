"""The border of a command: what it raises becomes a message on stderr and an exit status."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from vhdtool.errors import FormatError, VhdtoolError
from vhdtool.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

CANNOT_READ = 3
BUG = 70
_SIGNALLED = 128


class ReaderGone(Exception):  # noqa: N818 - no error: it had enough
    """Nobody reads our output any more."""


class Interrupted(Exception):  # noqa: N818 - no error: it was the user's wish
    """The user pressed Ctrl-C."""


def prepare_streams() -> None:
    """Let no character of a file name or an image end the program, and no signal skip cleaning."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # What `nohup` lets us ignore stays ignored.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _terminate)


def _terminate(number: int, _frame: object) -> NoReturn:
    raise SystemExit(_SIGNALLED + number)


def guarded(action: Callable[[], Any]) -> int:
    """Run a command to its exit status, whatever it raises."""
    try:
        return _run(action)
    except (BrokenPipeError, ReaderGone):
        # Whoever read our output has had enough; the interpreter must not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _SIGNALLED + int(getattr(signal, "SIGPIPE", 13))


def _run(action: Callable[[], Any]) -> int:
    try:
        status = action()
        sys.stdout.flush()
    except (BrokenPipeError, ReaderGone):
        raise
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except VhdtoolError as error:
        say_error(error)
        return error.exit_code
    except typer.TyperException as error:
        _say_usage(error)
        return error.exit_code
    except (KeyboardInterrupt, Interrupted):
        print("vhdtool: interrupted", file=sys.stderr)
        return _SIGNALLED + signal.SIGINT
    except OSError as error:
        _print_error(os_error_text(error))
        return CANNOT_READ
    except Exception as error:  # noqa: BLE001 - the last line of defence
        return _say_bug(error)
    return status if isinstance(status, int) else 0


def say(text: str) -> None:
    """Print a line for the user beside the answer, on stderr."""
    print(f"vhdtool: {printable(text)}", file=sys.stderr)


def say_error(error: VhdtoolError) -> None:
    """Print an error and what to do about it."""
    text = str(error)
    path = error.path if isinstance(error, FormatError) else None
    if path is not None and str(path) not in text:
        text = f"{path}: {text}"
    _print_error(text)
    if error.hint:
        print(f"hint: {printable(error.hint)}", file=sys.stderr)


def os_error_text(error: OSError) -> str:
    """Write what the system refused, and for which file."""
    reason = error.strerror or str(error)
    return reason if error.filename is None else f"{error.filename}: {reason}"


def _print_error(text: str) -> None:
    print(f"vhdtool: error: {printable(text)}", file=sys.stderr)


def _say_usage(error: typer.TyperException) -> None:
    context = getattr(error, "ctx", None)
    text = error.format_message()
    if not text.strip():
        return
    if type(error).__name__ == "NoArgsIsHelpError":
        print(text, file=sys.stderr)
        return
    _print_error(text)
    if context is not None:
        print(f"hint: `{context.command_path} --help` explains the command", file=sys.stderr)


def _say_bug(error: Exception) -> int:
    text = printable(f"{type(error).__name__}: {error}")
    print(f"vhdtool: this is a bug in vhdtool: {text}", file=sys.stderr)
    if os.environ.get("VHDTOOL_DEBUG"):
        import traceback

        traceback.print_exception(error)
    else:
        print("hint: run it again with VHDTOOL_DEBUG=1 for the details to report", file=sys.stderr)
    return BUG
