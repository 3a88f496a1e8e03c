"""Filters free of SQL: which leads they find."""

from __future__ import annotations

import json
from typing import Any

import asyncpg
import pytest

ANN = {
    "city": "Bonn",
    "age": "34",
    "plan": "free",
    "vip": True,
    "tags": ["a", "b"],
    "address": {"zip": "53111"},
    "note": 'a "b" \\ c',
}
BOB = {"city": "Köln", "age": 17, "plan": "pro", "vip": "false", "empty": "", "signed_up": "2026-03-01"}
MATCHES = "SELECT mailworkers.lead_matches(mailworkers.compile_lead_filter($1), $2, $3, $4)"


@pytest.mark.parametrize(
    ("filter_", "ann", "bob"),
    [
        ({}, True, True),
        ({"city": "Bonn"}, True, False),
        ({"city": ["Bonn", "Köln"]}, True, True),
        ({"city": {"!=": "Bonn"}}, False, True),
        ({"city": {"!=": ["Bonn", "Rom"]}}, False, True),
        ({"nothing": {"!=": "x"}}, True, True),
        ({"age": 34}, True, False),
        ({"age": "34"}, True, False),
        ({"age": {">=": 18}}, True, False),
        ({"age": {">": 16, "<": 18}}, False, True),
        ({"city": {">": 3}}, False, False),
        ({"vip": True}, True, False),
        ({"vip": False}, False, True),
        ({"tags": "b"}, True, False),
        ({"address.zip": {"starts": "531"}}, True, False),
        ({"signed_up": {">": "2026-01-01"}}, False, True),
        ({"signed_up": {"exists": False}}, True, False),
        ({"empty": {"exists": True}}, False, False),
        ({"age": {"exists": True}}, True, True),
        ({"tags": {"exists": True}}, True, False),
        ({"note": 'a "b" \\ c'}, True, False),
        ({"note": {"contains": '"b" \\'}}, True, False),
        ({"email": {"ends": "@example.org"}}, True, False),
        ({"email": {"ends": "@exampleXorg"}}, False, False),
        ({"domain": ["example.org", "b.example"]}, True, False),
        ({"name": {"exists": True}}, True, False),
        ({"name": "Ann"}, True, False),
        ({"city": "Bonn", "plan": "pro"}, False, False),
        ({"plan": {"in": ["free"]}, "city": {"not in": ["Köln"]}}, True, False),
    ],
)
async def test_a_filter_finds_the_leads_that_satisfy_all_of_it(owner: Any, filter_: Any, ann: bool, bob: bool) -> None:
    asked = json.dumps(filter_)
    assert await owner.fetchval(MATCHES, asked, "ann@example.org", "Ann", json.dumps(ANN)) is ann
    assert await owner.fetchval(MATCHES, asked, "bob@a.example", None, json.dumps(BOB)) is bob


@pytest.mark.parametrize(
    ("filter_", "says"),
    [
        (["city"], "filter must be a JSON object"),
        ({"city": {"like": "B%"}}, 'the filter asks "city" of "like" in a way that is not known'),
        ({"city": {"=": {"a": 1}}}, 'the filter asks "city" of "="'),
        ({"city": []}, 'the filter asks "city" of "in"'),
        ({"vip": {"exists": "yes"}}, 'the filter asks "vip" of "exists"'),
        ({"note": "x" * 10_001}, "filter is limited to 10 KB"),
    ],
)
async def test_a_filter_that_is_not_understood_is_refused_with_a_sentence(owner: Any, filter_: Any, says: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await owner.fetchval("SELECT mailworkers.compile_lead_filter($1)", json.dumps(filter_))
    assert str(refused.value).startswith(says)


@pytest.mark.parametrize(
    "key", ['a" == 1 || true || $."b', "$", "a.b", "ü", "\\", "'; DROP TABLE mailworkers.leads; --"]
)
async def test_no_key_or_value_becomes_anything_else(owner: Any, key: str) -> None:
    data: dict[str, Any] = {}
    place = data
    *path, last = key.split(".")
    for step in path:
        place = place.setdefault(step, {})
    place[last] = key
    assert await owner.fetchval(MATCHES, json.dumps({key: key}), "ann@example.org", "Ann", json.dumps(data))
    for condition in ({key: key}, {key: {"ends": key}}, {key: {"contains": key}}, {key: {"starts": key}}):
        assert not await owner.fetchval(MATCHES, json.dumps(condition), "ann@example.org", "Ann", "{}")


async def test_a_segment_and_a_filter_must_both_hold(owner: Any) -> None:
    await owner.execute("SELECT mailworkers.save_segment('default', 'near', '{\"city\": [\"Bonn\", \"Köln\"]}')")
    match = await owner.fetchval(
        "SELECT match::text FROM mailworkers.aim_campaign('default', NULL, 'near', '{\"age\": 34}')"
    )
    said = "SELECT mailworkers.lead_matches($1::text::jsonpath, 'a@example.org', 'Ann', $2)"
    assert await owner.fetchval(said, match, json.dumps(ANN)) is True
    assert await owner.fetchval(said, match, json.dumps(BOB)) is False
    assert await owner.fetchval(said, match, json.dumps(ANN | {"city": "Rom"})) is False
