"""`mailworkers workspaces`: weights and pauses, said and done."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Command, Sql


def test_a_workspace_is_weighed_paused_and_goes_on(on_database: Command, sql: Sql) -> None:
    assert on_database("workspaces", "list").out == "All workspaces have weight 1, and none is paused.\n"
    assert on_database("workspaces", "set", "shop", "--weight", "3").out == "Workspace shop has weight 3.\n"
    assert on_database("workspaces", "pause", "shop", "--why", "stolen list").out == "Workspace shop is paused.\n"
    (line,) = on_database("workspaces", "list", "--json").json
    assert (line["workspace_id"], line["weight"], line["why"]) == ("shop", 3.0, "stolen list")
    assert line["paused_at"] is not None
    assert "stolen list" in on_database("workspaces", "list").out

    assert on_database("workspaces", "resume", "shop").out == "Workspace shop goes on.\n"
    assert on_database("workspaces", "resume", "shop").out == "Workspace shop was not paused.\n"
    assert sql("SELECT paused_at IS NULL AND weight = 3 FROM mailworkers.workspaces") is True


def test_a_weight_has_its_bounds(on_database: Command) -> None:
    assert on_database("workspaces", "set", "shop", "--weight", "0").code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("set", "", "--weight", "2"), 'workspace "" was not changed: workspace_id must be one line of 1 to 100 characters. Check'),
        (("pause", "a\nb"), 'workspace "a\\nb" was not changed: workspace_id must be one line'),
        (("pause", "shop", "--why", "x" * 201), 'workspace "shop" was not changed: why must be one line of at most 200 characters. Shorten'),
    ],
)  # fmt: skip
def test_what_a_workspace_cannot_have_is_said_in_a_sentence(
    on_database: Command, arguments: tuple[str, ...], said: str
) -> None:
    ended = on_database("workspaces", *arguments)
    assert (ended.code, ended.out, ended.err.count("\n")) == (65, "", 1)
    assert ended.err.startswith(f"mailworkers: {said}")
