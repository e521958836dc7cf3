"""The command line: finds the command, runs it, turns what it raises into an exit status."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from vhdtool import __version__
from vhdtool.cli.guard import Interrupted, ReaderGone, guarded, prepare_streams
from vhdtool.cli.values import convert_without_pydantic

# Name and one line of help. A command's module is imported only when the command runs, so that
# `vhdtool --help` costs nothing; its docstring and EXAMPLES are the long help.
COMMANDS = {
    "check": "Say what would fail on Azure, and why",
    "info": "Show every structure of an image",
    "map": "Show where an image holds data",
    "inspect": "Tell what system is on a disk, how it boots, and whether it is generalized",
    "ls": "List a folder of the guest",
    "cat": "Write the bytes of a file of the guest",
    "stat": "Show what is known of a file of the guest",
    "reg": "Show a key or a value of a Windows guest's registry",
    "convert": "Write any image as a fixed VHD for Azure, or as a dynamic VHD or raw disk",
    "compare": "Tell whether two images hold the same disk",
    "repair": "Mend footers, checksums, the GPT backup and the alignment",
    "rule": "Explain a rule of `check`",
}

_EPILOG = """\
Examples:
  vhdtool check disk.vhd
  vhdtool convert disk.vhdx disk.vhd
  vhdtool rule VHD007

Exit status: 0 clean; 1 findings, or different; 2 wrong usage or configuration; 3 the input
cannot be read or is no image; 4 the output could not be written; 70 a bug in vhdtool;
128+N ended by signal N."""


def _write_lines(formatter: Any, text: str | None) -> None:
    if text:
        formatter.write_paragraph()
        for line in text.splitlines():
            formatter.write(f"{line}\n")


class _Command(TyperCommand):
    """A command whose examples keep their line breaks in `--help`."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        _write_lines(formatter, self.epilog)


class _LazyGroup(TyperGroup):
    """The group of all commands, each imported when it is needed."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        if cmd_name not in self.commands:
            self.commands[cmd_name] = _load(cmd_name)
        return self.commands[cmd_name]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            from difflib import get_close_matches

            close = get_close_matches(name, COMMANDS)
            ctx.fail(
                f"No such command {name!r}." + (f" Did you mean {close[0]!r}?" if close else "")
            )
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            # Before typer makes it exit status 1, which means something else here.
            raise ReaderGone from error
        except KeyboardInterrupt as error:
            # Before typer ends without a word.
            raise Interrupted from error

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        _write_lines(formatter, self.epilog)


def _load(name: str) -> Any:
    module = import_module(f"vhdtool.cli.{name}")
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    define = single.command(name, cls=_Command, epilog=module.EXAMPLES, short_help=COMMANDS[name])
    define(module.run)
    command = get_command(single)
    convert_without_pydantic(command, module.run)
    return command


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vhdtool {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=_LazyGroup,
    epilog=_EPILOG,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print it.")
    ] = False,
) -> None:
    """Check, convert and repair virtual disks for Azure, before they are uploaded."""


# By this typer takes the shell's name after --show-completion and --install-completion instead of
# guessing it from the parents of the process, of which a script may have none that is a shell.
_NAME_THE_SHELL = "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"


def _root() -> Any:
    os.environ.setdefault(_NAME_THE_SHELL, "1")
    command = get_command(app)
    convert_without_pydantic(command, _options)
    return command


def run(arguments: list[str]) -> int:
    """Run a command line and return its exit status; nothing is raised."""
    prepare_streams()
    return guarded(lambda: _root().main(arguments, "vhdtool", standalone_mode=False))
