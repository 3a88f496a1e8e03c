"""Conditions in words."""

from __future__ import annotations

from typing import Any

import pytest

from mailworkers.campaigns.words import filter_of
from mailworkers.errors import CampaignError


@pytest.mark.parametrize(
    ("words", "made"),
    [
        ([], {}),
        (["city=Bonn"], {"city": "Bonn"}),
        (["city = Bad Godesberg "], {"city": "Bad Godesberg"}),
        (["plan=free|pro"], {"plan": ["free", "pro"]}),
        (["plan=7"], {"plan": 7}),
        (["vip=true"], {"vip": True}),
        (["zip=01234"], {"zip": "01234"}),
        (["city!=Bonn"], {"city": {"!=": "Bonn"}}),
        (["city!=Bonn|Ulm"], {"city": {"not in": ["Bonn", "Ulm"]}}),
        (["age>=18", "age<65.5"], {"age": {">=": 18, "<": 65.5}}),
        (["signed_up>2026-07-01"], {"signed_up": {">": "2026-07-01"}}),
        (["email~@example.org"], {"email": {"contains": "@example.org"}}),
        (["phone", "!fax"], {"phone": {"exists": True}, "fax": {"exists": False}}),
        (["query=a=b"], {"query": "a=b"}),
    ],
)
def test_conditions_become_a_filter(words: list[str], made: dict[str, Any]) -> None:
    assert filter_of(words) == made


@pytest.mark.parametrize("word", ["", "!", "=x", "city=", "two words", "age>="])
def test_what_is_no_condition_is_refused_with_examples(word: str) -> None:
    with pytest.raises(CampaignError, match=r"is no condition\. Write it as city=Bonn"):
        filter_of([word])


@pytest.mark.parametrize("sign", [">>", "=>", "=<", "<>", "==", "><", "<<", "!==", ">==", "~=", "=~", "=!"])
def test_a_comparison_that_does_not_exist_is_refused_and_shows_those_that_do(sign: str) -> None:
    with pytest.raises(CampaignError, match=r"there is no comparison .*age>=18.* goes into --filter, as in \{\"age\""):
        filter_of([f"age{sign}8"])


@pytest.mark.parametrize("words", [["a=1", "a=2"], ["a>1", "a>2"], ["a=1", "a>0"], ["a", "a=1"]])
def test_what_contradicts_itself_is_refused(words: list[str]) -> None:
    with pytest.raises(CampaignError, match="speaks of a once more"):
        filter_of(words)
