"""Commands whose options are the fields of a dataclass: there are more of them than a function should have parameters."""

from collections.abc import Callable
from dataclasses import MISSING, fields
from functools import wraps
from inspect import Parameter, Signature
from typing import Any, TypeVar

import typer
from typer.core import TyperGroup

Options = TypeVar("Options")


def takes(options: type[Options]) -> Callable[[Callable[[typer.Context, Options], None]], Callable[..., None]]:
    """A command whose options are the fields of a class: Typer reads them from a signature."""

    def taking(command: Callable[[typer.Context, Options], None]) -> Callable[..., None]:
        @wraps(command)
        def called(context: typer.Context, **given: Any) -> None:
            command(context, options(**given))

        context = Parameter("context", Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        named = [
            Parameter(
                each.name,
                Parameter.KEYWORD_ONLY,
                default=Parameter.empty if each.default is MISSING else each.default,
                annotation=each.type,
            )
            for each in fields(options)  # type: ignore[arg-type]
        ]
        called.__signature__ = Signature([context, *named])  # type: ignore[attr-defined]
        called.__annotations__ = {each.name: each.annotation for each in (context, *named)}
        return called

    return taking


class SharedBefore(TyperGroup):
    """Commands that share options, which stand before the command's name: one that stands after it is told where it belongs."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command and its arguments; the types are those of the click that Typer brings along."""
        name, command, rest = super().resolve_command(ctx, args)
        own, shared = ({opt for each in getattr(some, "params", ()) for opt in each.opts} for some in (command, self))
        for option in (each.partition("=")[0] for each in rest):
            if option in shared - own:
                ctx.fail(f"{option} stands before the command: {ctx.command_path} {option} ... {name} ...")
        return name, command, rest
