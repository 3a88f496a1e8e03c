"""What Python reads as JSON and PostgreSQL does not."""

from __future__ import annotations

import pytest

from mailworkers import strict_json


def test_json_is_read_as_ever() -> None:
    assert strict_json.loads('{"a": [1, 2.5, 1e3, null, "x"]}') == {"a": [1, 2.5, 1000.0, None, "x"]}


@pytest.mark.parametrize("text", ["NaN", "[-Infinity]", '{"a": 1e999}', '{"a": -1.5e+400}', "{", ""])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        strict_json.loads(text)
