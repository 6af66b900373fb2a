"""Which retry settings hold for whom."""

import pytest

from billing.models import RetryPolicy, RetryState
from billing.retries.loading import context_of
from billing.retries.loop import plan_retries
from billing.retries.methods import Candidate
from billing.retries.policies import DEFAULT_TERMS, segments, terms_for
from campaigns.models import Segment
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def segment(code, query):
    return Segment.objects.create(code=code, name=code.title(), query=query)


def test_the_lowest_order_that_fits_holds():
    segment("italy", 'country = "IT"')
    RetryPolicy.objects.create(name="Everybody", order=20, max_attempts=4, strategy="rules")
    RetryPolicy.objects.create(name="Italy", order=10, segment="italy", window_days=30, explore_percent=0)
    RetryPolicy.objects.create(name="Off", order=1, active=False)
    here, there = factories.customer(country="IT"), factories.customer(country="DE")
    terms = terms_for({here.pk, there.pk}, NOW)
    assert (terms[here.pk].name, terms[here.pk].window_days, terms[here.pk].explore) == ("Italy", 30, 0)
    assert (terms[there.pk].name, terms[there.pk].max_attempts) == ("Everybody", 4)


def test_without_a_setting_the_accounts_numbers_hold():
    owner = factories.customer()
    assert terms_for({owner.pk}, NOW) == {}
    account = factories.account(retry_max_attempts=5, retry_window_days=14)
    invoice, method = factories.invoice(owner), factories.payment_method(owner)
    context = context_of(invoice, account, Candidate(method, ""), [], NOW, DEFAULT_TERMS)
    assert (context.max_attempts, context.window_days) == (5, 14)


def test_a_segment_that_is_gone_contains_nobody():
    owner = factories.customer()
    RetryPolicy.objects.create(name="Lost", order=1, segment="gone")
    RetryPolicy.objects.create(name="Rest", order=2)
    assert terms_for({owner.pk}, NOW)[owner.pk].name == "Rest"


def test_settings_bind_the_plan():
    segment("all", 'country = "IT"')
    RetryPolicy.objects.create(name="One", segment="all", max_attempts=1)
    owner = factories.customer()
    factories.account()
    method = factories.payment_method(owner)
    invoice = factories.invoice(owner, retry_state=RetryState.NEEDS_PLAN)
    for number in (1, 2):
        factories.attempt(invoice, payment_method=method, number=number)
    assert plan_retries(now=NOW, limit=10).stopped == 1


def test_a_batch_costs_three_queries_whatever_its_size(django_assert_num_queries):
    segment("italy", 'country = "IT"')
    RetryPolicy.objects.create(name="Italy", segment="italy")
    for size in (1, 20):
        ids = {factories.customer().pk for _ in range(size)}
        with django_assert_num_queries(3):
            assert len(terms_for(ids, NOW)) == size


def test_segments_are_named_for_the_form():
    segment("italy", 'country = "IT"')
    assert ("italy", "Italy") in segments().choices()
