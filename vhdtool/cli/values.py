"""From words of the command line to values.

typer does this through pydantic, whose import alone takes longer than a whole `check`. The few
types that our commands have need no library.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Callable


def convert_without_pydantic(command: Any, function: Callable[..., Any]) -> None:
    """Let the parameters of a command convert what `function` is annotated with."""
    hints = get_type_hints(function)
    get_params = command.get_params

    def get_own_params(ctx: Any) -> Any:
        parameters = get_params(ctx)
        for parameter in parameters:
            convert = _converter(hints.get(parameter.name))
            parameter.process_value = partial(_process, parameter, convert)
        return parameters

    command.get_params = get_own_params


def _process(parameter: Any, convert: Callable[[Any], Any], ctx: Any, value: Any) -> Any:
    if value is None or value in ((), []):
        if parameter.required:
            ctx.fail(f"Missing {parameter.param_type_name} {parameter.get_error_hint()}.")
        value = None
    else:
        try:
            value = convert(value)
        except ValueError:
            ctx.fail(f"Invalid value for {parameter.get_error_hint()}: {value!r}.")
    return value if parameter.callback is None else parameter.callback(ctx, parameter, value)


def _converter(hint: Any) -> Callable[[Any], Any]:
    """Return what makes a value of an annotated type: str, bool, Path, int, or a list of them."""
    options = [kind for kind in get_args(hint) if kind is not type(None)]
    if getattr(hint, "__origin__", None) is list:
        item = _converter(options[0])
        return lambda words: [item(word) for word in words]
    if options:
        return _converter(options[0])
    plain: dict[Any, Callable[[Any], Any]] = {Path: Path, int: _positive}
    return plain.get(hint, lambda value: value)


def _positive(word: Any) -> int:
    number = int(word)
    if number < 0:
        raise ValueError(word)
    return number
