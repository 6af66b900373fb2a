"""Four eyes: who acts alone up to what, who decides, and that what was approved happens once or not at all."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from billing.approvals import Outcome, approval_decide, approval_withdraw, approvals_waiting, limit_of, limits_sync
from billing.approvals.write_off import invoices_write_off
from billing.models import Adjustment, ApprovalLimit, ApprovalRequest, Invoice
from customers.errors import SollecitoError
from customers.models import Interaction
from tests import factories as f
from tests.factories import NOW

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def own(amount: int = 4900, **fields: Any) -> Invoice:
    """An open invoice no processor knows, so that giving it up shows at once."""
    return f.invoice(f.customer(source="manual"), source="manual", amount_due=amount, **fields)


def write_off(rows: list[Invoice], user: User, now: Any = NOW) -> Outcome:
    return invoices_write_off(invoice_ids=[r.pk for r in rows], reason="Gone away", actor_id=user.pk, now=now)


def decide(outcome: Outcome, user: User, *, approve: bool = True) -> ApprovalRequest:
    assert outcome.request_id is not None
    return approval_decide(request_id=outcome.request_id, approve=approve, note="Yes.", actor_id=user.pk, now=NOW)


@pytest.mark.parametrize(
    ("role", "amount", "currency", "alone"),
    [
        ("collector", 1, "EUR", False),
        ("senior", 10_000, "EUR", True),
        ("senior", 10_001, "EUR", False),
        ("manager", 100_000, "USD", True),
        ("manager", 100_001, "USD", False),
        ("admin", 100_001, "EUR", False),
        # A currency nobody set a limit for has none.
        ("manager", 1, "JPY", False),
    ],
)
def test_limits_hold_by_role_and_currency(role: str, amount: int, currency: str, alone: bool) -> None:
    invoice = own(amount, currency=currency)
    outcome = write_off([invoice], f.staff(role))
    invoice.refresh_from_db()
    assert outcome.done is alone
    assert invoice.status == ("uncollectible" if alone else "open")
    assert ApprovalRequest.objects.count() == (0 if alone else 1)


def test_many_small_sums_on_one_customer_count_together_for_thirty_days() -> None:
    user, first = f.staff("senior"), own(6000)
    second, third = (f.invoice(first.customer, source="manual", amount_due=6000) for _ in range(2))
    elsewhere = own(6000)
    assert write_off([first], user).done
    assert write_off([elsewhere], user).done
    assert not write_off([second], user, NOW + 29 * DAY).done
    assert write_off([third], user, NOW + 30 * DAY).done


def test_of_several_invoices_the_sum_counts_by_currency() -> None:
    customer = f.customer(source="manual")
    rows = [f.invoice(customer, source="manual", amount_due=6000, currency=c) for c in ("EUR", "USD")]
    assert write_off(rows, f.staff("senior")).done
    rows = [own(6000), own(6000)]
    assert not write_off(rows, User.objects.get(username="senior")).done


def test_another_person_approves_and_it_happens_once_for_who_asked() -> None:
    asker, boss = f.staff("collector"), f.staff("manager")
    invoice = own(5000)
    outcome = write_off([invoice], asker)
    with pytest.raises(SollecitoError) as refused:
        write_off([invoice], asker)
    assert refused.value.code == "approval_pending"
    request = decide(outcome, boss)
    invoice.refresh_from_db()
    assert (request.status, invoice.status, request.decided_by) == ("done", "uncollectible", boss)
    adjustment = Adjustment.objects.get()
    assert (adjustment.amount, adjustment.actor) == (5000, asker)
    with pytest.raises(SollecitoError):
        decide(outcome, boss)
    assert Adjustment.objects.count() == 1
    log = Interaction.objects.filter(customer=invoice.customer).order_by("id")
    told = [(row.kind, row.actor) for row in log if row.kind != "invoice.uncollectible"]
    assert told == [
        ("approval.requested", asker), ("invoice.written_off", asker), ("approval.approved", boss),
    ]  # fmt: skip


def test_nobody_decides_their_own_request_nor_without_the_permission() -> None:
    asker = f.staff("manager")
    outcome = write_off([own(500_000)], asker)
    for user, code in ((asker, "approval_own"), (f.staff("senior"), "approval_forbidden")):
        for approve in (True, False):
            with pytest.raises(SollecitoError) as refused:
                decide(outcome, user, approve=approve)
            assert refused.value.code == code
    request = ApprovalRequest.objects.get()
    with pytest.raises(IntegrityError), transaction.atomic():
        ApprovalRequest.objects.filter(pk=request.pk).update(status="done", decided_by=asker, decided_at=NOW)
    gone = f.staff("manager", "left")
    gone.is_active = False
    gone.save()
    with pytest.raises(SollecitoError):
        decide(outcome, gone)
    assert decide(outcome, f.staff("admin"), approve=False).status == "declined"
    assert not Adjustment.objects.exists()


def test_what_has_grown_or_was_paid_meanwhile_is_not_given_up() -> None:
    asker, boss = f.staff("collector"), f.staff("manager")
    grown, paid, partly = own(5000), own(5000), own(5000)
    asked = [write_off([row], asker) for row in (grown, paid, partly)]
    Invoice.objects.filter(pk=grown.pk).update(amount_due=6000)
    Invoice.objects.filter(pk=paid.pk).update(amount_paid=5000, status="paid")
    Invoice.objects.filter(pk=partly.pk).update(amount_paid=2000)
    assert [decide(outcome, boss).status for outcome in asked] == ["failed", "failed", "done"]
    assert [(row.invoice, row.amount) for row in Adjustment.objects.all()] == [(partly, 3000)]
    grown.refresh_from_db()
    assert grown.status == "open"


def test_who_asked_takes_it_back_and_may_ask_anew() -> None:
    asker, invoice = f.staff("collector"), own(5000)
    outcome = write_off([invoice], asker)
    assert outcome.request_id is not None
    with pytest.raises(SollecitoError):
        approval_withdraw(request_id=outcome.request_id, note="", actor_id=f.staff("manager").pk, now=NOW)
    approval_withdraw(request_id=outcome.request_id, note="", actor_id=asker.pk, now=NOW)
    assert not write_off([invoice], asker).done


def test_the_badge_counts_what_others_asked_for() -> None:
    asker, boss = f.staff("collector"), f.staff("manager")
    write_off([own(5000)], asker)
    write_off([own(500_000)], boss)
    assert (approvals_waiting(boss), approvals_waiting(f.staff("admin")), approvals_waiting(asker)) == (1, 2, 0)


def test_one_person_alone_may_switch_four_eyes_off(settings: Any) -> None:
    settings.FOUR_EYES = False
    assert write_off([own(10**9)], f.staff("collector")).done


def test_superusers_have_the_administrators_limits_and_deleted_limits_stay_deleted() -> None:
    boss = User.objects.create_superuser("boss")
    assert limit_of(actor_id=boss.pk, act="write_off", currency="EUR") == 100_000
    for limit in ApprovalLimit.objects.all():
        limit.delete()
    assert limits_sync() == 0
    assert limit_of(actor_id=boss.pk, act="write_off", currency="EUR") == 0


def test_pages_ask_approve_and_hide_from_who_asked() -> None:
    asker, boss = f.staff("manager"), f.staff("admin")
    invoice = own(500_000)
    client, other = Client(), Client()
    client.force_login(asker)
    other.force_login(boss)
    asked = client.post(reverse("admin:billing_invoice_do", args=[invoice.pk, "write-off"]), {"reason": "Gone"})
    assert asked.status_code == 302
    request = ApprovalRequest.objects.get()
    page = reverse("admin:billing_approvalrequest_change", args=[request.pk])
    approve = reverse("admin:billing_approvalrequest_do", args=[request.pk, "approve"])
    assert client.get(approve).status_code == client.post(approve, {}).status_code == 403
    assert (approve in client.get(page).content.decode(), approve in other.get(page).content.decode()) == (False, True)
    assert "Write off ACME-" in other.get(reverse("admin:billing_approvalrequest_changelist")).content.decode()
    assert other.post(approve, {"note": ""}).status_code == 302
    invoice.refresh_from_db()
    assert invoice.status == "uncollectible"


def test_a_case_is_written_off_as_a_whole_and_limits_are_typed_in_major_units() -> None:
    boss = User.objects.create_superuser("boss")
    customer = f.customer(source="manual")
    rows = [f.invoice(customer, source="manual", amount_due=1000) for _ in range(2)]
    case = f.case(customer, invoices=rows)
    client = f.desk(boss)
    client.post(reverse("admin:campaigns_case_do", args=[case.pk, "write-off"]), {"reason": "Gone"})
    assert {row.status for row in Invoice.objects.all()} == {"uncollectible"}
    group = Group.objects.get(name="senior")
    form = {"act": "write_off", "group": group.pk, "currency": "kwd", "most": "12.345"}
    assert client.post(reverse("admin:billing_approvallimit_add"), form).status_code == 302
    assert ApprovalLimit.objects.get(currency="KWD").amount == 12_345
    form |= {"currency": "jpy", "most": "1.5"}
    assert client.post(reverse("admin:billing_approvallimit_add"), form).status_code == 200
