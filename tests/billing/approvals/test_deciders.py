"""Whoever decides about a request sees all the customers it is about; the others are told whose it is, or nothing."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.approvals import approval_decide, approvals_waiting
from billing.approvals.deciders import About, deciders_words
from billing.approvals.write_off import invoices_write_off
from billing.models import ApprovalRequest, Invoice
from customers.bulk.jobs import job_confirm, job_draft
from customers.errors import SollecitoError
from customers.models import BulkJob
from tests import factories as f
from tests.factories import NOW

pytestmark = pytest.mark.django_db


class Office:
    """A senior who asks, a manager who sees their own customers only, and an admin who sees everybody."""

    def __init__(self) -> None:
        self.anna, self.mia, self.chief = (
            f.staff("senior", "anna"),
            f.staff("manager", "mia"),
            f.staff("admin", "chief"),
        )
        f.narrowed("manager")

    def owing(self, owner: User | None) -> Invoice:
        invoice = f.invoice(f.customer(source="manual"), source="manual", amount_due=80_000)
        f.case(invoice.customer, invoices=[invoice], owner=owner)
        return invoice

    def asked(self, *owners: User | None) -> ApprovalRequest:
        """A bulk write-off of an invoice for each of the owners, asked for by the senior."""
        rows = [self.owing(owner).pk for owner in owners]
        job = job_draft(act="invoices.write_off", targets=rows, selection="Some", actor_id=self.anna.pk, now=NOW)
        job_confirm(job_id=job.pk, params={"reason": "Gone away"}, actor_id=self.anna.pk, now=NOW)
        return ApprovalRequest.objects.latest("pk")


@pytest.fixture
def office() -> Office:
    return Office()


def page(user: User, name: str, *args: Any) -> Any:
    return f.desk(user).get(reverse(f"admin:{name}", args=args))


def words_of(response: Any) -> str:
    assert response.status_code == 200
    return str(response.content.decode())


def approve(request: ApprovalRequest, user: User, *, yes: bool = True) -> ApprovalRequest:
    return approval_decide(request_id=request.pk, approve=yes, note="No", actor_id=user.pk, now=NOW)


@pytest.mark.parametrize("rows", [1, 2])
def test_who_sees_every_row_decides_and_looks_at_the_rows_before_and_after(office: Office, rows: int) -> None:
    request = office.asked(*[office.mia] * rows)
    job = BulkJob.objects.get()
    assert approvals_waiting(f.afresh(office.mia)) == 1
    assert f"Write off {rows} invoice" in words_of(page(office.mia, "billing_approvalrequest_changelist"))
    told = words_of(page(office.mia, "billing_approvalrequest_change", request.pk))
    assert reverse("admin:customers_bulkjob_change", args=[job.pk]) in told
    assert "Waits for one of these to approve it: chief, mia." in told
    asking = words_of(page(office.mia, "billing_approvalrequest_do", request.pk, "approve"))
    assert "Gone away" in asking  # why, on the form itself
    assert page(office.mia, "customers_bulkjob_change", job.pk).status_code == 200
    assert approve(request, f.afresh(office.mia)).status == "done"
    assert page(office.mia, "customers_bulkjob_change", job.pk).status_code == 200
    assert page(office.mia, "billing_approvalrequest_change", request.pk).status_code == 200


def test_the_rows_say_what_is_owed_on_each(office: Office) -> None:
    office.asked(office.mia)
    client = f.desk(office.chief)
    url = reverse("admin:customers_bulkjob_change", args=[BulkJob.objects.get().pk])
    with CaptureQueriesContext(connection) as few:
        words = words_of(client.get(url, {"section": "rows"}))
    assert "Owed now" in words
    assert "€800.00" in words
    office.asked(*[office.mia] * 20)
    url = reverse("admin:customers_bulkjob_change", args=[BulkJob.objects.latest("pk").pk])
    with CaptureQueriesContext(connection) as many:
        assert words_of(client.get(url, {"section": "rows"})).count("€800.00") == 20
    assert len(many) == len(few)
    # Nothing was settled: there is no result to fetch.
    assert "Result file" not in words_of(client.get(url))


def test_who_sees_some_rows_is_told_why_not_and_who(office: Office) -> None:
    request = office.asked(office.mia, office.chief)
    job = BulkJob.objects.get()
    told = words_of(page(office.mia, "billing_approvalrequest_change", request.pk))
    assert "It is also about customers you do not see, so somebody else decides." in told
    assert "Waits for one of these to approve it: chief." in told
    job_url = reverse("admin:customers_bulkjob_change", args=[job.pk])
    for name in ("approve", "decline"):
        assert reverse("admin:billing_approvalrequest_do", args=[request.pk, name]) not in told
        assert page(office.mia, "billing_approvalrequest_do", request.pk, name).status_code == 403
    assert job_url not in told
    assert page(office.mia, "customers_bulkjob_change", job.pk).status_code == 404
    assert approvals_waiting(f.afresh(office.mia)) == 0
    for yes in (True, False):
        with pytest.raises(SollecitoError, match="chief") as refused:
            approve(request, f.afresh(office.mia), yes=yes)
        assert refused.value.code == "approval_unseen"
    # Who asked reads the same.
    shown = words_of(page(office.anna, "customers_bulkjob_change", job.pk))
    assert "Waits for one of these to approve it: chief." in shown
    assert approve(request, office.chief).status == "done"


def test_the_list_says_which_are_somebody_elses_to_decide(office: Office) -> None:
    office.asked(office.mia)
    assert "somebody else decides" not in words_of(page(office.mia, "billing_approvalrequest_changelist"))
    office.asked(office.mia, office.chief)
    assert words_of(page(office.mia, "billing_approvalrequest_changelist")).count("somebody else decides") == 1
    for wide in (office.chief, office.anna):
        assert "somebody else decides" not in words_of(page(wide, "billing_approvalrequest_changelist"))


def test_who_sees_no_row_learns_nothing(office: Office) -> None:
    request = office.asked(office.chief, None)
    assert "Write off 2" not in words_of(page(office.mia, "billing_approvalrequest_changelist"))
    assert page(office.mia, "billing_approvalrequest_change", request.pk).status_code == 404
    assert page(office.mia, "customers_bulkjob_change", BulkJob.objects.get().pk).status_code == 404
    assert approvals_waiting(f.afresh(office.mia)) == 0


def test_whoever_may_not_decide_is_shown_nothing_for_seeing_the_rows(office: Office) -> None:
    carl = f.staff("collector", "carl")
    f.narrowed("collector")
    request = office.asked(carl, carl)
    assert page(carl, "billing_approvalrequest_change", request.pk).status_code == 404
    assert page(carl, "customers_bulkjob_change", BulkJob.objects.get().pk).status_code == 404


def test_where_nobody_who_may_sees_all_of_it_who_asks_is_told_what_to_do(office: Office) -> None:
    User.objects.filter(pk=office.chief.pk).update(is_active=False)
    rows = [office.owing(office.mia).pk, office.owing(office.chief).pk]
    job = job_draft(act="invoices.write_off", targets=rows, selection="Some", actor_id=office.anna.pk, now=NOW)
    asking = words_of(page(office.anna, "customers_bulkjob_confirm", job.pk))
    assert "sees all of these customers: ask for fewer of them at once" in asking
    mine = job_draft(act="invoices.write_off", targets=rows[:1], selection="x", actor_id=office.anna.pk, now=NOW)
    asking = words_of(page(office.anna, "customers_bulkjob_confirm", mine.pk))
    assert "Waits for one of these to approve it: mia." in asking
    assert "Ask for approval" in asking


def test_rows_that_were_left_alone_count_too_for_they_are_shown(office: Office) -> None:
    paid = office.owing(office.chief)
    Invoice.objects.filter(pk=paid.pk).update(status="void")
    rows = [office.owing(office.mia).pk, paid.pk]
    job = job_draft(act="invoices.write_off", targets=rows, selection="Some", actor_id=office.anna.pk, now=NOW)
    assert job.skipped == 1
    job_confirm(job_id=job.pk, params={"reason": "x"}, actor_id=office.anna.pk, now=NOW)
    request = ApprovalRequest.objects.get()
    assert request.customer is not None  # the only one of whom anything would be given up
    assert approvals_waiting(f.afresh(office.mia)) == 0
    assert page(office.mia, "customers_bulkjob_change", job.pk).status_code == 404
    listed = words_of(page(office.mia, "billing_approvalrequest_changelist"))
    assert "somebody else decides" in listed
    with pytest.raises(SollecitoError) as refused:
        approve(request, f.afresh(office.mia))
    assert refused.value.code == "approval_unseen"


def test_rows_that_are_gone_hide_nothing(office: Office) -> None:
    request = office.asked(office.mia, office.chief)
    job = BulkJob.objects.get()
    stranger = Invoice.objects.get(pk__in=job.items.values("target"), customer__cases__owner=office.chief)
    stranger.customer.cases.all().delete()
    stranger.delete()
    assert approve(request, f.afresh(office.mia)).status == "done"


def test_a_request_about_one_customer_is_decided_by_who_sees_them(office: Office) -> None:
    hers, other = office.owing(office.mia), office.owing(office.chief)
    for row in (hers, other):
        invoices_write_off(invoice_ids=[row.pk], reason="x", actor_id=office.anna.pk, now=NOW)
    mine, others = ApprovalRequest.objects.order_by("pk")
    assert approvals_waiting(f.afresh(office.mia)) == 1
    assert approvals_waiting(f.afresh(office.chief)) == 2
    assert deciders_words(office.anna.pk, About.request(others)) == "Waits for one of these to approve it: chief."
    with pytest.raises(SollecitoError) as refused:
        approve(others, f.afresh(office.mia))
    assert refused.value.code == "approval_unseen"
    assert approve(mine, f.afresh(office.mia)).status == "done"


def test_about_many_customers_without_a_job_only_who_sees_everybody_decides(office: Office) -> None:
    rows = [office.owing(office.mia).pk for _ in range(2)]
    asked = invoices_write_off(invoice_ids=rows, reason="x", actor_id=office.anna.pk, now=NOW)
    assert asked.words.endswith("Waits for one of these to approve it: chief.")
    with pytest.raises(SollecitoError) as refused:
        approve(ApprovalRequest.objects.get(), f.afresh(office.mia))
    assert refused.value.code == "approval_unseen"


def test_looking_costs_the_same_for_one_request_and_for_many(office: Office) -> None:
    def queries() -> int:
        client = f.desk(office.mia)
        url = reverse("admin:billing_approvalrequest_changelist")
        client.get(url)
        with CaptureQueriesContext(connection) as captured:
            client.get(url)
        return len(captured)

    office.asked(office.mia, office.chief)
    one = queries()
    for _ in range(5):
        office.asked(office.mia, office.mia, office.chief)
    assert queries() == one
