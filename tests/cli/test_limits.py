"""`mailworkers limits`: what is set, and what is pointed out of it."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Command


@pytest.mark.parametrize(
    ("scope", "name", "missing"),
    [
        ("destination", "gogle", "gogle"),
        ("destination", "google", None),
        ("destination", "others", None),
        ("destination", "*", None),
        ("lane", "acme/gogle", "gogle"),
        ("lane", "acme/others", "others"),
        ("lane", "acme/google", None),
        ("lane", "acme", None),
        ("workspace", "gogle", None),
    ],
)
def test_a_limit_for_a_group_that_is_not_there_is_set_and_pointed_out(
    on_database: Command, scope: str, name: str, missing: str | None
) -> None:
    ended = on_database("limits", "set", scope, name, "10/min")

    assert ended.code == 0
    assert "10 a minute" in ended.out
    assert (f"no destination group is called {missing} so far" in ended.err) is (missing is not None)
    assert ("no destination group" in ended.err) is (missing is not None)
