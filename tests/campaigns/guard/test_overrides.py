"""Managers' own rules: in force at once, in every process, for whom they are meant."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from campaigns.context import load
from campaigns.engine.load import load_cases
from campaigns.engine.run import escalate_due
from campaigns.guard import overrides
from campaigns.guard.book import SHIPPED
from campaigns.guard.check import check
from campaigns.guard.explain import explain
from campaigns.guard.overrides import current_book
from campaigns.guard.policy import channel_rules, shipped
from campaigns.guard.types import Allowed, Deferred
from campaigns.guard.words import CHANNELS, differences, raw_channel
from campaigns.models import Case, Message, PolicyOverride
from campaigns.services.policies import (
    policy_check,
    policy_save,
    policy_withdraw,
    rules_of,
    rules_shipped,
    rules_with,
    rules_without,
)
from customers.errors import SollecitoError
from customers.models import Interaction
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
TODAY = NOW.date()
EVENING = {"basis": "house", "source": "Decided by the board", "open": {"weekdays": ["20:00-21:00"]}}
LATE = {"channels": {"email": EVENING}}


def own(code: str = "it", rules: dict[str, Any] | None = None, **fields: Any) -> PolicyOverride:
    values = {"valid_from": TODAY, "note": "board", "rules": LATE if rules is None else rules} | fields
    return PolicyOverride.objects.create(code=code, **values)


def hours(country: str = "IT", day: date = TODAY, **whom: Any) -> str:
    rules = current_book().on(country, day, **whom).rules("email").hours
    assert rules is not None
    return str(rules.weekdays[0])


def test_without_own_rules_the_shipped_ones_hold_for_one_query(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        assert current_book() is SHIPPED


def test_a_change_is_noticed_by_every_process(django_assert_num_queries: Any) -> None:
    row = own()
    assert hours() == "20:00–21:00"
    with django_assert_num_queries(1):
        book = current_book()
    # Another process: nothing of what this one remembers may stand in the way.
    PolicyOverride.objects.filter(pk=row.pk).update(
        rules={"channels": {"email": EVENING | {"open": {"weekdays": ["10:00-11:00"]}}}},
        changed_at=NOW + timedelta(days=9),
    )
    assert current_book() is not book
    assert hours() == "10:00–11:00"
    policy_withdraw(override_id=row.pk, now=NOW)
    assert current_book() is SHIPPED
    with pytest.raises(SollecitoError):
        policy_withdraw(override_id=row.pk, now=NOW)


def test_rules_begin_on_their_day_and_the_newest_holds() -> None:
    own(valid_from=TODAY + timedelta(days=2))
    own(rules={"channels": {"email": EVENING | {"open": {"weekdays": ["10:00-11:00"]}}}})
    assert [hours(day=TODAY + timedelta(days=n)) for n in (-1, 0, 1, 2, 9)] == [
        "07:00–22:00", "10:00–11:00", "10:00–11:00", "20:00–21:00", "20:00–21:00",
    ]  # fmt: skip


def test_a_brands_rules_are_its_own_and_go_before_those_of_all() -> None:
    mine, other = factories.brand(), factories.brand(code="other")
    own(brand=mine)
    assert hours(brand_id=mine.pk) == "20:00–21:00"
    assert hours(brand_id=other.pk) == hours() == "07:00–22:00"
    own(rules={"channels": {"email": EVENING | {"open": {"weekdays": ["10:00-11:00"]}}}})
    assert (hours(brand_id=mine.pk), hours(brand_id=other.pk)) == ("20:00–21:00", "10:00–11:00")


def test_rules_of_a_base_reach_the_countries_on_it_and_a_country_without_file_can_have_some() -> None:
    own("eu")
    assert (hours("NL"), hours("IT"), hours("US")) == ("20:00–21:00", "20:00–21:00", "08:00–21:00")
    own("nl", rules={"channels": {"email": EVENING | {"open": {"weekdays": ["10:00-11:00"]}}}})
    assert (hours("NL"), hours("BE")) == ("10:00–11:00", "20:00–21:00")
    own("jp", rules={"channels": {"email": EVENING | {"open": {"weekdays": ["11:00-12:00"]}}}})
    assert hours("JP") == "11:00–12:00"
    assert current_book().on("JP", TODAY).rules("sms").policy == "default"


def test_rules_for_businesses_leave_consumers_alone() -> None:
    own(rules={"business": LATE})
    assert (hours(kind="business"), hours(kind="consumer")) == ("20:00–21:00", "07:00–22:00")


def test_both_who_decides_and_who_sends_ask_the_rules_in_force() -> None:
    case = factories.case(factories.customer())
    own(brand=case.brand)
    deciding = load_cases([case.pk], NOW).cases[0].snapshot.guard
    message = factories.message(case)
    sending = load([message.pk], NOW)[0].snapshot
    for snapshot in (deciding, sending):
        verdict = check(snapshot, "email", NOW)
        assert isinstance(verdict, Deferred)
        assert verdict.until == datetime(2026, 3, 10, 19, 0, tzinfo=UTC)
        told = explain(snapshot, "email", NOW)
        assert (told.own, told.source, told.basis) == (True, "Decided by the board", "house")


def test_rules_that_cannot_be_read_hold_back_whom_they_concern_and_nobody_else(caplog: Any) -> None:
    row = own(rules={"channels": {"email": {"hours_of_a_later_release": 1}}})
    assert overrides.read(row).version is None
    for country, held in (("IT", True), ("FR", False)):
        case = factories.case(factories.customer(country=country))
        verdict = check(load_cases([case.pk], NOW).cases[0].snapshot.guard, "email", NOW)
        assert isinstance(verdict, Deferred if held else Allowed)
        if isinstance(verdict, Deferred):
            assert (verdict.rule, verdict.until) == ("policy.unreadable", NOW + timedelta(hours=1))
    assert "cannot be read" in caplog.text


@pytest.mark.parametrize("code", sorted(shipped()))
def test_rules_go_to_plain_values_and_back(code: str) -> None:
    for version in shipped()[code].versions:
        for rules in (*version.channels.values(), *version.business_channels.values()):
            again = channel_rules(code, raw_channel(rules))
            for name in ("min_gap_hours", "per_day", "per_week", "per_month", "consent", "texts", "source", "because"):
                assert getattr(again, name) == getattr(rules, name)
            assert (again.hours is None) == (rules.hours is None)
            if again.hours and rules.hours:
                for day in ("weekdays", "saturday", "sunday", "holiday"):
                    assert getattr(again.hours, day) == getattr(rules.hours, day)


def changed(code: str = "au", **rules: Any) -> dict[str, Any]:
    before = rules_without(None, code=code, brand_id=None, day=TODAY, audience="all")
    channels = {channel.value: before.rules(channel) for channel in CHANNELS}
    raw = raw_channel(before.rules("call")) | {"basis": "house", "source": "Our lawyers"} | rules
    channels["call"] = channel_rules("own", raw)
    return rules_of(before=before, channels=channels, general=before.general, audience="all")


def test_only_what_differs_is_kept_and_what_stays_keeps_its_source() -> None:
    rules = changed(per_week=2)
    assert list(rules) == ["channels"]
    assert list(rules["channels"]) == ["call"]
    row = own("au", rules=rules)
    policy = rules_with(row)
    assert policy.rules("call").ground("per_week").source == "Our lawyers"
    assert "RG 96" in policy.rules("call").ground("open").source
    assert policy.rules("call").ground("open").basis == "regulator"
    (found,) = differences(rules_shipped(row), policy)
    assert (found.where, found.before, found.after, found.ground.source) == ("Telephone", "3", "2", "Our lawyers")


def test_a_changed_rule_may_not_hide_behind_the_old_source() -> None:
    source = shipped()["au"].versions[0].channels["call"].source
    with pytest.raises(SollecitoError) as refused:
        changed(per_week=9, source=source, basis="regulator")
    assert refused.value.code == "policy_source"
    with pytest.raises(SollecitoError) as refused:
        changed()
    assert refused.value.code == "policy_same"
    with pytest.raises(SollecitoError):
        policy_check(code="it", rules={"channels": {"fax": {}}}, valid_from=TODAY)


def test_those_who_wait_because_of_the_rules_are_looked_at_again_when_these_change() -> None:
    evening = policy_save(row=PolicyOverride(code="it", valid_from=TODAY, note="board", rules=LATE), now=NOW)
    factories.ladder(steps=[{"offset": 0}], min_gap_hours=0)
    case = factories.case(factories.customer(country="IT"))
    writing = factories.case(factories.customer(country="IT"), next_action_at=None)
    queued = factories.message(writing, rule="quiet_hours.it", send_at=NOW + timedelta(hours=8))
    # Put off by something else: no business of the rules.
    other = factories.message(writing, rule="min_gap.ladder", step_run=None, send_at=NOW + timedelta(hours=8))
    resting = factories.case(factories.customer(), next_action_at=NOW + timedelta(days=3))
    assert escalate_due(now=NOW, limit=10).deferred == 1
    case.refresh_from_db()
    assert case.next_action_at == datetime(2026, 3, 10, 19, 0, tzinfo=UTC)

    later = NOW + timedelta(minutes=5)
    policy_withdraw(override_id=evening.pk, now=later)
    case.refresh_from_db()
    assert case.next_action_at == later
    assert Message.objects.get(pk=queued.pk).send_at == later
    assert Message.objects.get(pk=other.pk).send_at == NOW + timedelta(hours=8)
    assert Case.objects.get(pk=resting.pk).next_action_at == NOW + timedelta(days=3)


def test_what_the_rules_still_put_off_goes_on_waiting_and_is_not_told_again() -> None:
    policy_save(row=PolicyOverride(code="it", valid_from=TODAY, note="board", rules=LATE), now=NOW)
    case = factories.case(factories.customer(country="IT"), ladder_version=factories.ladder(steps=[{"offset": 0}]))
    assert escalate_due(now=NOW, limit=10).deferred == 1
    later = NOW + timedelta(minutes=5)
    policy_save(row=PolicyOverride(code="fr", valid_from=TODAY, note="board", rules=LATE), now=later)
    assert escalate_due(now=later, limit=10).deferred == 1
    case.refresh_from_db()
    assert case.next_action_at == datetime(2026, 3, 10, 19, 0, tzinfo=UTC)
    assert Interaction.objects.filter(kind="step.deferred").count() == 1
