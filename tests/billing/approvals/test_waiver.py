"""Waiving a fee: alone up to one's limit, with a second person beyond it, and never more than was approved."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from billing.approvals import approval_decide
from billing.approvals.waiver import fee_waive
from billing.models import ApprovalRequest, Fee
from customers.errors import SollecitoError
from dunning_site.roles import roles_sync
from tests import factories as f
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _roles() -> None:
    roles_sync()


def waive(fee: Fee, user: Any, now: Any = NOW) -> Any:
    return fee_waive(fee_id=fee.pk, reason="Goodwill", actor_id=user.pk, now=now)


def status(fee: Fee) -> str:
    fee.refresh_from_db()
    return fee.status


def test_what_one_person_waives_on_a_customer_counts_together_for_thirty_days() -> None:
    senior, invoice = f.staff("senior"), f.invoice(f.customer())
    first, second, third = (f.fee(invoice=f.invoice(invoice.customer), amount=6000) for _ in range(3))
    assert waive(first, senior).done
    assert not waive(second, senior).done
    assert (status(first), status(second)) == ("waived", "open")
    assert waive(third, senior, NOW + timedelta(days=30)).done


def test_beyond_the_limit_another_person_decides_and_it_happens_once() -> None:
    asker, boss, fee = f.staff("senior"), f.staff("manager"), f.fee(f.invoice(f.customer()), amount=10_001)
    outcome = waive(fee, asker)
    with pytest.raises(SollecitoError) as again:
        waive(fee, asker)
    assert again.value.code == "approval_pending"
    with pytest.raises(SollecitoError):
        approval_decide(request_id=outcome.request_id, approve=True, note="", actor_id=asker.pk, now=NOW)
    assert status(fee) == "open"
    approval_decide(request_id=outcome.request_id, approve=True, note="Yes.", actor_id=boss.pk, now=NOW)
    assert status(fee) == "waived"
    with pytest.raises(SollecitoError):
        waive(fee, asker)


def test_interest_that_grew_beyond_what_was_approved_is_not_waived() -> None:
    fee, boss = f.fee(f.invoice(f.customer()), amount=10_001), f.staff("manager")
    outcome = waive(fee, f.staff("senior"))
    Fee.objects.filter(pk=fee.pk).update(amount=10_002)
    request = approval_decide(request_id=outcome.request_id, approve=True, note="", actor_id=boss.pk, now=NOW)
    assert (request.status, status(fee)) == ("failed", "open")


def test_the_page_s_button_asks_for_a_second_person(client: Client) -> None:
    fee = f.fee(f.invoice(f.customer()), amount=100_001)
    client.force_login(f.staff("manager"))
    client.post(reverse("admin:billing_fee_do", args=[fee.pk, "waive"]), {"reason": "Goodwill"})
    assert status(fee) == "open"
    assert ApprovalRequest.objects.get().act == "waiver"
