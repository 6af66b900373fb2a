"""Codes nobody has read up yet: counted with the decline that brought them, once, whatever is told again."""

from datetime import timedelta

import pytest
from django.db import transaction

from billing.models import UnknownCode
from billing.outcomes import charge_record
from tests import factories
from tests.billing.test_outcomes import owing, refused
from tests.factories import NOW

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def tell(invoice, charge, at=NOW, **codes):
    return charge_record(invoice_id=invoice.pk, fact=refused(charge, at=at, **codes), now=NOW)


def seen():
    return list(UnknownCode.objects.order_by("code").values_list("field", "code", "seen"))


def test_a_code_is_counted_once_for_each_decline_that_brought_it():
    invoice = owing()
    first = tell(invoice, "ch_1", decline_code="brand_new", network_decline_code="ZQ")
    tell(invoice, "ch_1", decline_code="brand_new", network_decline_code="ZQ")
    assert seen() == [("network_decline_code", "ZQ", 1), ("decline_code", "brand_new", 1)]
    earlier = tell(invoice, "ch_0", at=NOW - DAY, decline_code="brand_new")
    row = UnknownCode.objects.get(code="brand_new")
    assert (row.seen, row.first_seen_at, row.last_seen_at) == (2, NOW - DAY, NOW)
    assert row.example_id == first.attempt_id != earlier.attempt_id


def test_a_code_that_only_the_second_teller_knows_is_counted_then():
    invoice = owing()
    tell(invoice, "ch_1", decline_code="brand_new")
    tell(invoice, "ch_1", decline_code="brand_new", network_advice_code="77")
    tell(invoice, "ch_1", decline_code="brand_new", network_advice_code="77")
    assert seen() == [("network_advice_code", "77", 1), ("decline_code", "brand_new", 1)]


def test_known_codes_are_not_counted():
    tell(owing(), "ch_1", network_decline_code="51", network_advice_code="26", advice_code="try_again_later")
    assert seen() == []


def test_a_decline_that_is_given_up_counts_nothing():
    invoice = owing()
    with transaction.atomic():
        tell(invoice, "ch_1", decline_code="brand_new")
        assert len(seen()) == 1
        transaction.set_rollback(True)
    assert seen() == []


def test_codes_that_come_later_mean_the_same_as_if_they_had_come_at_once():
    invoice = owing()
    method = factories.payment_method(invoice.customer)
    told = tell(invoice, "ch_1", decline_code="generic_decline", payment_method_id=method.pk)
    tell(invoice, "ch_1", decline_code="generic_decline", network_decline_code="R1", network_advice_code="21")
    attempt = invoice.attempts.get(pk=told.attempt_id)
    invoice.refresh_from_db()
    method.refresh_from_db()
    assert (attempt.decline_category, invoice.last_decline_category) == ("revocation", "revocation")
    assert method.never_again_at == NOW
