"""What staff decide about a case is kept, told and undone only by the right hand."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.contrib.auth import get_user_model

from billing.models import Promise
from campaigns.engine.assess import assess_customers
from campaigns.engine.run import escalate_due
from campaigns.models import Message
from campaigns.services.cases import case_close, case_pause, case_resume
from campaigns.services.promises import promise_record
from customers.errors import IllegalTransition, SollecitoError
from customers.models import Interaction
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def actor():
    return get_user_model().objects.create_user("mia").pk


def test_a_pause_with_a_date_wakes_by_itself_and_goes_on_with_the_next_step(actor):
    case = factories.case(factories.customer(), position=1)
    until = NOW + 12 * DAY
    case_pause(case_id=case.pk, until=until, reason="Holidays", actor_id=actor, now=NOW)
    assert escalate_due(now=until - DAY).claimed == 0
    result = escalate_due(now=until)
    assert (result.woken, result.done) == (1, 1)
    case.refresh_from_db()
    # Twelve days are gone and every step's day has passed; yet it takes the second, not the last.
    assert (case.state, case.position, case.rests_until) == ("open", 2, None)
    assert case.next_action_at == until + 4 * DAY
    told = Interaction.objects.filter(subject=f"case:{case.pk}").order_by("id")
    assert [line.kind for line in told] == ["case.paused", "case.woken", "step.done"]
    assert (told[0].actor_id, told[0].actor_kind, told[0].body) == (actor, "user", "Holidays")


def test_a_pause_without_a_date_waits_for_a_person(actor):
    case = factories.case(factories.customer(), position=1)
    case_pause(case_id=case.pk, until=None, reason="", actor_id=actor, now=NOW)
    assert escalate_due(now=NOW + 300 * DAY).claimed == 0
    case_resume(case_id=case.pk, actor_id=actor, now=NOW + 20 * DAY)
    assert escalate_due(now=NOW + 20 * DAY).done == 1
    case.refresh_from_db()
    assert case.position == 2


def test_a_pause_ends_in_the_future(actor):
    case = factories.case(factories.customer())
    with pytest.raises(SollecitoError) as error:
        case_pause(case_id=case.pk, until=NOW, reason="", actor_id=actor, now=NOW)
    assert error.value.code == "pause_in_past"


def test_closing_withdraws_what_is_queued_and_its_debts_open_no_other_case(actor):
    factories.ladder()
    case = factories.case(factories.customer())
    escalate_due(now=NOW)
    case_close(case_id=case.pk, reason="Agreed by telephone", actor_id=actor, now=NOW)
    case.refresh_from_db()
    assert (case.state, case.close_reason, case.next_action_at) == ("cancelled", "staff", None)
    assert Message.objects.get().status == "cancelled"
    result = assess_customers(now=NOW)
    assert (result.claimed, result.opened) == (1, 0)


def test_what_has_ended_stays_ended(actor):
    case = factories.case(
        factories.customer(), state="lost", closed_at=NOW, close_reason="exhausted", next_action_at=None
    )
    with pytest.raises(IllegalTransition):
        case_pause(case_id=case.pk, until=None, reason="", actor_id=actor, now=NOW)
    with pytest.raises(IllegalTransition):
        case_resume(case_id=case.pk, actor_id=actor, now=NOW)


def test_a_case_is_not_closed_twice_nor_without_a_reason(actor):
    case = factories.case(factories.customer())
    with pytest.raises(SollecitoError, match="why"):
        case_close(case_id=case.pk, reason="  ", actor_id=actor, now=NOW)
    case_close(case_id=case.pk, reason="x", actor_id=actor, now=NOW)
    with pytest.raises(SollecitoError) as error:
        case_close(case_id=case.pk, reason="x", actor_id=actor, now=NOW)
    assert error.value.code == "case_closed"


@pytest.mark.parametrize(
    ("zone", "promised_on", "expires_at"),
    [
        # Day and two of grace, to local midnight; the clocks change on 29 March 2026.
        ("Europe/Rome", date(2026, 3, 20), datetime(2026, 3, 22, 23, tzinfo=UTC)),
        ("Europe/Rome", date(2026, 3, 28), datetime(2026, 3, 30, 22, tzinfo=UTC)),
        ("Pacific/Auckland", date(2026, 3, 20), datetime(2026, 3, 22, 11, tzinfo=UTC)),
    ],
)
def test_a_promise_runs_to_the_end_of_its_day_and_grace_where_the_customer_lives(zone, promised_on, expires_at):
    customer = factories.customer(timezone=zone)
    case = factories.case(customer)
    promise = promise_record(
        customer_id=customer.pk, brand_id=customer.brand_id, amount=4900, currency="EUR",
        promised_on=promised_on, now=NOW,
    )  # fmt: skip
    assert promise.expires_at == expires_at
    case.refresh_from_db()
    assert case.state == "promised"
    assert assess_customers(now=NOW).rested == 0
    case.refresh_from_db()
    assert case.rests_until == expires_at
    assert Interaction.objects.get(kind="promise.made").actor_kind == "customer"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"amount": 0}, "promise_amount"),
        ({"amount": 4901}, "promise_amount"),
        ({"currency": "USD"}, "promise_amount"),
        ({"promised_on": date(2026, 3, 9)}, "promise_date"),
        ({"promised_on": date(2026, 6, 1)}, "promise_date"),
    ],
)
def test_promises_that_are_refused(fields, code):
    customer = factories.customer()
    factories.case(customer)
    values = {"amount": 4900, "currency": "EUR", "promised_on": date(2026, 3, 12)} | fields
    with pytest.raises(SollecitoError) as error:
        promise_record(customer_id=customer.pk, brand_id=customer.brand_id, now=NOW, **values)
    assert error.value.code == code
    assert not Promise.objects.exists()


def test_one_promise_stands_at_a_time():
    customer = factories.customer()
    factories.case(customer)
    values = {"amount": 100, "currency": "EUR", "promised_on": date(2026, 3, 12)}
    promise_record(customer_id=customer.pk, brand_id=customer.brand_id, now=NOW, **values)
    with pytest.raises(SollecitoError) as error:
        promise_record(customer_id=customer.pk, brand_id=customer.brand_id, now=NOW, **values)
    assert error.value.code == "promise_open"
