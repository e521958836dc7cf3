"""The frame of the command line: help, exit statuses, streams, start-up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.builders import MIB, write_fixed_vhd
from vhdtool import __version__
from vhdtool.cli import guard
from vhdtool.cli.app import COMMANDS
from vhdtool.errors import CorruptImage, OutputError, VhdtoolError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

    Command = Callable[..., Outcome]
    Process = Callable[..., subprocess.CompletedProcess[bytes]]


def test_help_lists_every_command_on_one_screen(vhdtool: Command) -> None:
    done = vhdtool("--help")
    assert done.status == 0
    for name in COMMANDS:
        assert f"\n  {name} " in done.out
    assert len(done.out.splitlines()) < 40
    assert done.err == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples(vhdtool: Command, name: str) -> None:
    done = vhdtool(name, "--help")
    assert done.status == 0
    assert f"\nExamples:\n  vhdtool {name}" in done.out
    assert max(map(len, done.out.splitlines())) <= 100


def test_no_arguments_show_the_help_on_stderr(vhdtool: Command) -> None:
    done = vhdtool()
    assert (done.status, done.out) == (2, "")
    assert "Usage: vhdtool" in done.err


def test_version(vhdtool: Command) -> None:
    assert vhdtool("--version") == vhdtool("--version")
    assert vhdtool("--version").out == f"vhdtool {__version__}\n"


def test_python_m_vhdtool_runs(process: Process) -> None:
    done = process("--version")
    assert (done.returncode, done.stdout.decode()) == (0, f"vhdtool {__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["chekc"], "Did you mean 'check'?"),
        (["map"], "IMAGE"),
        (["map"], "Missing argument 'IMAGE'."),
        (["map", "--nonsense", "x"], "--nonsense"),
        (["map", "--limit", "many", "x"], "Invalid value for '--limit': 'many'."),
        (["map", "--limit", "-1", "x"], "Invalid value for '--limit'"),
        (["convert", "--threads", "0", "a", "b"], "--threads"),
        (["map", "--format", "jsn", "x"], "did you mean json?"),
        (["convert", "a"], "no DST"),
        (["convert", "a", "b", "--to", "vhd"], "none of fixed, dynamic, raw"),
        (["convert", "a", "b", "--fixed", "--to", "raw"], "exclude each other"),
        (["convert", "a", "b", "--align", "1x"], "not a size"),
        (["convert", "a", "b", "--align", "1M", "--no-align"], "exclude each other"),
        (["convert", "a", "b", "--uuid", "1"], "not a UUID"),
        (["convert", "a", "b", "--timestamp", "noon"], "not a time"),
        (["convert", "a", "b", "--timestamp", "1999-12-31T00:00:00"], "from 2000 to 2136"),
        (["convert", "a", "b", "--in-place"], "takes no DST"),
        (["convert", "-", "--in-place"], "cannot change in place"),
        (["compare", "a"], "no B"),
    ],
)
def test_wrong_usage_is_status_2_and_says_what(
    vhdtool: Command, arguments: list[str], words: str
) -> None:
    done = vhdtool(*arguments)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("vhdtool: error: ")
    assert words in done.err


@pytest.mark.parametrize(
    "command", [["info"], ["map"], ["convert", "--force"], ["compare"], ["repair"]]
)
def test_a_missing_file_is_status_3_and_named(
    vhdtool: Command, tmp_path: Path, command: list[str]
) -> None:
    missing = tmp_path / "missing.vhd"
    second = [tmp_path / "out"] if command[0] in ("convert", "compare") else []
    done = vhdtool(*command, missing, *second)
    assert (done.status, done.out) == (3, "")
    assert f"vhdtool: error: cannot open {missing}: No such file" in done.err


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (OutputError("disk full", hint="free some"), 4, "error: disk full\nhint: free some\n"),
        (CorruptImage("footer", actual="bad"), 3, "error: footer: bad\n"),
        (VhdtoolError("evil \x1b[31m name"), 3, "error: evil \\x1b[31m name\n"),
        (PermissionError(13, "Permission denied", "/x"), 3, "error: /x: Permission denied\n"),
        (KeyboardInterrupt(), 130, "vhdtool: interrupted\n"),
    ],
)
def test_what_a_command_raises_becomes_words_and_a_status(
    capsys: pytest.CaptureFixture[str], error: BaseException, status: int, words: str
) -> None:
    def action() -> None:
        raise error

    assert guard.guarded(action) == status
    assert capsys.readouterr().err.endswith(words)


def test_a_bug_is_status_70_without_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def action() -> None:
        raise KeyError("oops")

    monkeypatch.delenv("VHDTOOL_DEBUG", raising=False)
    assert guard.guarded(action) == 70
    err = capsys.readouterr().err
    assert "this is a bug in vhdtool: KeyError: 'oops'" in err
    assert "Traceback" not in err
    monkeypatch.setenv("VHDTOOL_DEBUG", "1")
    assert guard.guarded(action) == 70
    assert "Traceback" in capsys.readouterr().err


def test_an_image_named_in_no_message_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    from pathlib import Path

    def action() -> None:
        raise CorruptImage("footer", offset=512, actual="bad", path=Path("some.vhd"))

    guard.guarded(action)
    assert capsys.readouterr().err == "vhdtool: error: some.vhd: footer at offset 0x200: bad\n"


def test_a_reader_that_had_enough_is_no_error(tmp_path: Path) -> None:
    image = write_fixed_vhd(tmp_path / "disk.vhd", MIB)
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "vhdtool", "map", "--format", "json", str(image)]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, timeout=50, check=False)
    os.close(write)
    assert done.returncode == 128 + 13
    assert done.stderr == b""


def test_names_with_control_characters_reach_the_terminal_escaped(
    vhdtool: Command, tmp_path: Path
) -> None:
    image = write_fixed_vhd(tmp_path / "evil\x1b[31m\u202e.vhd", MIB)
    for command in (["map"], ["info"], ["repair", "--dry-run"]):
        done = vhdtool(*command, image)
        assert "\x1b" not in done.out + done.err
        assert "\u202e" not in done.out + done.err


def test_names_that_are_no_text_are_shown_escaped(process: Process, tmp_path: Path) -> None:
    image = write_fixed_vhd(tmp_path / os.fsdecode(b"disk\xff.vhd"), MIB)
    done = process("map", image)
    assert done.returncode == 0, done.stderr
    assert b"disk\\udcff.vhd" in done.stdout


def test_help_loads_no_command_and_nothing_heavy() -> None:
    code = (
        "import sys; from vhdtool.cli.app import run; run(['--help']); "
        "heavy = {'rich', 'construct', 'vhdtool._native', 'vhdtool.cli.check', 'asyncio'};"
        "print('loaded:', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("loaded: []\n")


def test_a_command_does_without_what_is_slow_to_load(tmp_path: Path) -> None:
    image = write_fixed_vhd(tmp_path / "disk.vhd", MIB)
    code = (
        "import sys; from vhdtool.cli.app import run; status = run(['map', sys.argv[1]]); "
        "print(status, sorted({'pydantic', 'rich', 'asyncio'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(image)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\n0 []\n")


@pytest.fixture
def bash(tmp_path: Path) -> Callable[..., list[str]]:
    """Complete words as bash does after it read what `--show-completion` prints."""
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    command = tmp_path / "bin" / "vhdtool"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m vhdtool "$@"\n')
    command.chmod(0o755)
    environment = {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}"}
    script = (
        'eval "$(vhdtool --show-completion bash)"\n'
        'COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))\n'
        "complete -p vhdtool >/dev/null && _vhdtool_completion vhdtool\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )

    def complete(*words: str) -> list[str]:
        done = subprocess.run(
            ["bash", "-c", script, "bash", "vhdtool", *words],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr == ""
        return done.stdout.split()

    return complete


def test_bash_completes_commands_options_and_their_words(bash: Callable[..., list[str]]) -> None:
    assert bash("") == list(COMMANDS)
    assert bash("co") == ["convert", "compare"]
    assert bash("convert", "--ver") == ["--verify"]
    assert {"--format", "--fail-on", "--profile"} <= set(bash("check", "--"))
    assert bash("convert", "--to", "") == ["fixed", "dynamic", "raw"]
    assert bash("check", "--format", "s") == ["sarif"]
    assert bash("rule", "VHD00") == [f"VHD00{digit}" for digit in range(1, 10)]
    assert bash("convert", "") == [], "bash itself completes the names of files"


@pytest.mark.parametrize(
    ("shell", "mark"),
    [
        ("bash", b"complete -o default"),
        ("zsh", b"#compdef vhdtool"),
        ("fish", b"complete --command vhdtool"),
        ("powershell", b"Register-ArgumentCompleter"),
    ],
)
def test_completion_can_be_shown_for_every_shell(process: Process, shell: str, mark: bytes) -> None:
    script = process("--show-completion", shell)
    assert script.returncode == 0
    assert b"_VHDTOOL_COMPLETE" in script.stdout
    assert mark in script.stdout
