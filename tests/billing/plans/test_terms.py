"""Instalments sum exactly, fall on days that exist, and stay within the rules."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.plans.terms import Payer, Rules, against, because, days, offers, parts, split

TODAY = date(2026, 3, 10)


@given(total=st.integers(1, 10**15), count=st.integers(1, 60))
def test_parts_sum_to_the_last_minor_unit_and_differ_by_one_at_most(total: int, count: int) -> None:
    if total < count:
        with pytest.raises(ValueError, match="minor unit"):
            split(total, count)
        return
    amounts = split(total, count)
    assert (sum(amounts), len(amounts)) == (total, count)
    assert max(amounts) - min(amounts) <= 1
    assert list(amounts) == sorted(amounts, reverse=True)


@pytest.mark.parametrize(
    ("total", "count", "amounts"),
    [
        (10000, 3, (3334, 3333, 3333)),  # EUR 100.00
        (100, 3, (34, 33, 33)),  # JPY 100 has no smaller unit
        (100000, 3, (33334, 33333, 33333)),  # KWD 100.000
    ],
)
def test_of_three_equal_parts_the_first_takes_the_odd_unit(total: int, count: int, amounts: tuple[int, ...]) -> None:
    assert split(total, count) == amounts


@given(
    total=st.integers(1, 10**9),
    count=st.integers(1, 20),
    percent=st.integers(0, 90),
    unit=st.sampled_from([1, 10, 100]),
)
def test_instalments_are_amounts_their_currency_can_be_charged_in(
    total: int, count: int, percent: int, unit: int
) -> None:
    if total // unit < count:
        return
    found = parts(total=total, count=count, interval="month", first_on=TODAY, first_percent=percent, unit=unit)
    amounts = [part.amount for part in found]
    assert sum(amounts) == total
    assert min(amounts) >= unit
    assert not any(amount % unit for amount in amounts[:-1])
    assert amounts[-1] % unit == total % unit


def test_dinars_are_offered_in_whole_tens() -> None:
    found = offers(Rules(least_amount=1, currency="KWD"), total=100_000, currency="KWD", payer=Payer(0), today=TODAY)
    assert found
    assert all(part.amount % 10 == 0 for offer in found for part in offer.parts)


@pytest.mark.parametrize(
    ("first", "interval", "expected"),
    [
        (date(2026, 1, 31), "month", [date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 31)]),
        (date(2027, 12, 31), "month", [date(2027, 12, 31), date(2028, 1, 31), date(2028, 2, 29)]),
        (date(2026, 2, 25), "week", [date(2026, 2, 25), date(2026, 3, 4), date(2026, 3, 11)]),
        (date(2026, 12, 25), "fortnight", [date(2026, 12, 25), date(2027, 1, 8), date(2027, 1, 22)]),
    ],
)
def test_days_are_the_same_of_each_month_or_its_last(first: date, interval: str, expected: list[date]) -> None:
    assert list(days(first, 3, interval)) == expected


@given(total=st.integers(2, 10**9), broken=st.integers(0, 3), least=st.integers(1, 10**6))
def test_every_offer_keeps_the_rules_and_the_sum(total: int, broken: int, least: int) -> None:
    rules = Rules(least_amount=least)
    found = offers(rules, total=total, currency="EUR", payer=Payer(broken), today=TODAY)
    for offer in found:
        assert sum(part.amount for part in offer.parts) == total
        assert not against(rules, offer.parts, currency="EUR", payer=Payer(broken), today=TODAY)
        assert offer.parts[0].due_on == TODAY + timedelta(days=1)
    if broken > rules.most_broken or total < 2 * least:
        assert not found
    elif total >= 2 * least + 1:
        assert {offer.count for offer in found} >= {2}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"count": 7}, "At most 6"),
        ({"first_on": TODAY + timedelta(days=15)}, "first instalment"),
        (
            {"count": 6, "interval": "month", "first_on": TODAY + timedelta(days=14), "rules": {"most_days": 150}},
            "last",
        ),
        ({"total": 3999}, "too small"),
        ({"payer": Payer(broken=2)}, "broken within a year"),
        ({"rules": {"least_paid_percent": 50}, "payer": Payer(paid=4999)}, "ever paid"),
        ({"rules": {"least_paid_percent": 50}, "payer": Payer(paid=5000)}, ""),
        ({"count": 4, "payer": Payer(band="high")}, "At most 3 instalments at high risk"),
        ({"count": 4, "payer": Payer(band="medium")}, ""),
        ({"first_on": TODAY + timedelta(days=21), "payer": Payer(band="low", rating="A")}, ""),
        ({"first_on": TODAY + timedelta(days=22), "payer": Payer(band="low", rating="A")}, "first instalment"),
        ({}, ""),
        # Rules in euros say nothing of yen.
        ({"total": 400, "currency": "JPY"}, ""),
    ],
)
def test_what_the_rules_refuse_is_said_in_words(change: dict, words: str) -> None:  # type: ignore[type-arg]
    values = {"total": 10000, "count": 2, "interval": "month", "first_on": TODAY} | change
    wanted = parts(**{name: values[name] for name in ("total", "count", "interval", "first_on")})
    rules = Rules(**values.get("rules", {}))
    said = against(
        rules, wanted, currency=values.get("currency", "EUR"), payer=values.get("payer", Payer()), today=TODAY
    )
    assert said.startswith(words) if words.startswith("At") else words in said
    assert bool(said) == bool(words)


@given(total=st.integers(2, 10**12), count=st.integers(1, 60), percent=st.integers(0, 90))
def test_a_deposit_comes_first_and_the_sum_stays(total: int, count: int, percent: int) -> None:
    if total < count:
        return
    found = parts(total=total, count=count, interval="month", first_on=TODAY, first_percent=percent)
    amounts = [part.amount for part in found]
    assert (sum(amounts), len(amounts), min(amounts) > 0) == (total, count, True)
    if count > 1:
        assert amounts[0] * 100 >= percent * total or amounts[1:] == [1] * (count - 1)
        assert max(amounts[1:]) - min(amounts[1:]) <= 1


def test_risk_limits_what_is_offered_and_says_so() -> None:
    """Not enough data changes nothing, and says nothing."""

    def offered(payer: Payer) -> list[tuple[int, ...]]:
        found = offers(Rules(), total=10_000, currency="EUR", payer=payer, today=TODAY)
        return sorted({tuple(part.amount for part in offer.parts) for offer in found})

    unknown, risky, trusted = Payer(), Payer(band="high", rating="D"), Payer(band="low", rating="A")
    assert offered(unknown) == [(2000,) * 5, (2500,) * 4, (3334, 3333, 3333), (5000, 5000)]
    assert offered(risky) == [(4000, 3000, 3000), (5000, 5000)]
    assert offered(trusted) == offered(unknown)
    later = offers(Rules(), total=10_000, currency="EUR", payer=trusted, today=TODAY)
    assert {offer.parts[0].due_on for offer in later} == {TODAY + timedelta(days=8)}
    assert because(Rules(), unknown) == ()
    assert "at most 3 instalments, at least 40 %" in because(Rules(), risky)[0]
    assert "7 days later" in because(Rules(), trusted)[0]
