"""What an import need not ask about."""

from __future__ import annotations

from mailworkers.leads.strangers import Strangers

PEOPLE = [f"ann{number}@a.example" for number in range(5000)]


def test_nobody_who_was_met_is_a_stranger_again() -> None:
    strangers = Strangers(empty=True)
    assert len(strangers.meet(PEOPLE)) < len(PEOPLE) // 100
    assert strangers.meet(PEOPLE) == PEOPLE


def test_where_somebody_was_before_all_are_asked_about() -> None:
    assert Strangers(empty=False).meet(PEOPLE) == PEOPLE
    strangers = Strangers(empty=True)
    strangers.doubt_all()
    assert strangers.all_in_doubt
    assert strangers.meet(PEOPLE) == PEOPLE
