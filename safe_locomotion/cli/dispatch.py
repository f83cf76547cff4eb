"""A command whose words decide that another one answers, with options of its own."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import click

Chooses = Callable[[Sequence[str]], bool]


class Dispatch(click.Command):
    """Answers itself, or hands all its words to `other` when `chooses` says so."""

    def __init__(self, *args: Any, other: click.Command, chooses: Chooses, **given: Any) -> None:
        super().__init__(*args, **given)
        self.other = other
        self.chooses = chooses

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """The context of the command that answers."""
        if self.chooses(args):
            return self.other.make_context(info_name, args, parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command of the context."""
        return super().invoke(ctx) if ctx.command is self else ctx.command.invoke(ctx)


def names_option(option: str, value: str) -> Chooses:
    """Whether words hold `option value` or `option=value`."""

    def chooses(words: Sequence[str]) -> bool:
        pairs = itertools.pairwise(words)
        return f"{option}={value}" in words or (option, value) in pairs

    return chooses


def names_any(*values: str) -> Chooses:
    """Whether words hold one of these values."""
    return lambda words: bool(set(values) & set(words))
