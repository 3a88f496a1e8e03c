"""What `--help` shows, of every command there is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import typer

from mailworkers.cli.app import app
from tests.cli.conftest import Command


def commands(of: typer.Typer, *before: str) -> Iterator[tuple[str, ...]]:
    """The words of each command and group."""
    yield before
    for command in of.registered_commands:
        assert command.name is not None
        yield (*before, command.name)
    for group in of.registered_groups:
        assert group.typer_instance is not None
        assert group.name is not None
        yield from commands(group.typer_instance, *before, group.name)


@pytest.mark.parametrize("words", [*commands(app)], ids=" ".join)
def test_a_flag_names_no_type(command: Command, words: tuple[str, ...]) -> None:
    ended = command(*words, "--help")

    assert ended.code == 0
    assert "--help" in ended.out
    assert "bool" not in ended.out


def test_what_takes_a_value_says_which(command: Command) -> None:
    assert "<int range>" in command("jobs", "list", "--help").out
