"""A customer's own ladder: set, changed and taken away with a reason, followed by the next assessment."""

import pytest

from campaigns.engine.assess import assess_customers
from campaigns.models import Case, LadderOverride
from campaigns.services.own_ladders import ladder_override_clear, ladder_override_set
from customers.errors import SollecitoError
from customers.models import Interaction
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def own(customer, version, actor, reason="Pays after the board meets", at=NOW):
    return ladder_override_set(
        customer_id=customer.pk, ladder_id=version.ladder_id, actor_id=actor.pk, now=at, reason=reason
    )


def lines(customer):
    kinds = ("customer.ladder_set", "customer.ladder_cleared")
    return list(Interaction.objects.filter(customer=customer, kind__in=kinds).order_by("pk"))


def test_the_next_case_follows_it_and_those_after_it_is_taken_away_the_usual_one(admin_user):
    usual, gentle = factories.ladder(priority=1), factories.ladder(priority=900, code="gently")
    customer = factories.customer()
    assert own(customer, gentle, admin_user)
    customer.refresh_from_db()
    assert customer.reassess_at == NOW
    factories.invoice(customer, first_failed_at=NOW)
    assess_customers(now=NOW)
    case = Case.objects.get()
    assert case.ladder_version == gentle

    ladder_override_clear(customer_id=customer.pk, actor_id=admin_user.pk, now=NOW, reason="The board is gone")
    assess_customers(now=NOW)
    case.refresh_from_db()
    assert (case.ladder_version, case.closed_at) == (gentle, None)
    other = factories.customer()
    factories.invoice(other, first_failed_at=NOW)
    own(other, gentle, admin_user)
    ladder_override_clear(customer_id=other.pk, actor_id=admin_user.pk, now=NOW, reason="A mistake")
    assess_customers(now=NOW)
    assert Case.objects.get(customer=other).ladder_version == usual


def test_a_debt_that_no_ladder_answered_to_gets_its_case_at_once(admin_user):
    gentle = factories.ladder(trigger="promise_broken")
    customer = factories.customer(reassess_at=NOW)
    factories.invoice(customer, first_failed_at=NOW)
    assess_customers(now=NOW)
    assert not Case.objects.exists()
    own(customer, gentle, admin_user)
    assess_customers(now=NOW)
    assert Case.objects.get().ladder_version == gentle


def test_each_change_is_told_with_who_and_why_and_nothing_is_told_twice(admin_user):
    first, second = factories.ladder(code="first"), factories.ladder(code="second")
    customer = factories.customer()
    assert own(customer, first, admin_user)
    assert not own(customer, first, admin_user)
    assert own(customer, second, admin_user, reason=" Asked for it ")
    row = LadderOverride.objects.get()
    assert (row.ladder, row.reason, row.actor, row.at) == (second.ladder, "Asked for it", admin_user, NOW)
    ladder_override_clear(customer_id=customer.pk, actor_id=admin_user.pk, now=NOW, reason="Done")
    assert not LadderOverride.objects.exists()
    assert [(x.kind, x.body, x.data, x.actor) for x in lines(customer)] == [
        ("customer.ladder_set", "Pays after the board meets", {"ladder": "first"}, admin_user),
        ("customer.ladder_set", "Asked for it", {"ladder": "second", "before": "first"}, admin_user),
        ("customer.ladder_cleared", "Done", {"before": "second"}, admin_user),
    ]
    assert LadderOverride.history.count() == 3


@pytest.mark.parametrize(
    ("fields", "code"),
    [({"active": False}, "ladder_unused"), ({"status": "draft", "published_at": None}, "ladder_unused")],
)
def test_a_ladder_that_nobody_can_follow_is_refused(admin_user, fields, code):
    version = factories.ladder(active=fields.get("active", True))
    if "status" in fields:
        type(version).objects.filter(pk=version.pk).update(**fields)
    customer = factories.customer()
    with pytest.raises(SollecitoError) as refused:
        own(customer, version, admin_user)
    assert refused.value.code == code
    assert not lines(customer)


def test_no_reason_no_customer_and_nothing_to_take_away_are_refused(admin_user):
    version, customer = factories.ladder(), factories.customer()
    with pytest.raises(SollecitoError, match="why"):
        own(customer, version, admin_user, reason="  ")
    with pytest.raises(SollecitoError, match="no such customer"):
        ladder_override_set(customer_id=0, ladder_id=version.ladder_id, actor_id=admin_user.pk, now=NOW, reason="x")
    with pytest.raises(SollecitoError, match="no ladder of their own"):
        ladder_override_clear(customer_id=customer.pk, actor_id=admin_user.pk, now=NOW, reason="x")
    assert not LadderOverride.objects.exists()
