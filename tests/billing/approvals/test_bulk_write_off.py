"""A bulk write-off beyond a limit waits for a second person as any other act does, and happens once or not at all."""

from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse

from billing.approvals import approval_decide, approval_withdraw
from billing.models import Adjustment, ApprovalRequest, Invoice
from customers.bulk.jobs import job_confirm, job_draft, reasons_of
from customers.bulk.run import jobs_run
from customers.errors import SollecitoError
from customers.models import BulkJob
from tests import factories as f
from tests.factories import NOW


@pytest.fixture
def staff(db: None) -> dict[str, User]:
    people = {}
    for name, role in (("maria", "senior"), ("boss", "manager"), ("chief", "admin"), ("audit", "auditor")):
        people[name] = f.staff(role, name)
    return people


def owing(amount: int = 8000) -> Invoice:
    return f.invoice(f.customer(source="manual"), source="manual", amount_due=amount)


def drafted(rows: list[Invoice], user: User) -> BulkJob:
    ids = [row.pk for row in rows]
    return job_draft(act="invoices.write_off", targets=ids, selection="Some", actor_id=user.pk, now=NOW)


def confirmed(rows: list[Invoice], user: User) -> BulkJob:
    job = drafted(rows, user)
    return job_confirm(job_id=job.pk, params={"reason": "Gone away"}, actor_id=user.pk, now=NOW)


def run(job: BulkJob) -> BulkJob:
    while jobs_run(now=NOW).job_id is not None:
        pass
    job.refresh_from_db()
    return job


def test_agreed_to_it_runs_for_who_asked(staff: dict[str, User]) -> None:
    job = confirmed([owing(), owing()], staff["maria"])
    assert run(job).status == "to_approve"
    request = ApprovalRequest.objects.get()
    assert (request.amounts, request.requested_by, request.reason) == ({"EUR": 16_000}, staff["maria"], "Gone away")
    with pytest.raises(SollecitoError) as refused:
        approval_decide(request_id=request.pk, approve=True, note="", actor_id=staff["maria"].pk, now=NOW)
    assert refused.value.code == "approval_own"
    done = approval_decide(request_id=request.pk, approve=True, note="", actor_id=staff["boss"].pk, now=NOW)
    assert (done.status, run(job).done) == ("done", 2)
    assert {row.actor for row in Adjustment.objects.all()} == {staff["maria"]}


@pytest.mark.parametrize("how", ["declined", "withdrawn", "grown"])
def test_without_a_yes_nothing_is_given_up_and_the_rows_say_why(how: str, staff: dict[str, User]) -> None:
    rows = [owing(), owing()]
    job = confirmed(rows, staff["maria"])
    request = ApprovalRequest.objects.get()
    if how == "withdrawn":
        approval_withdraw(request_id=request.pk, note="Sorry", actor_id=staff["maria"].pk, now=NOW)
    else:
        if how == "grown":
            Invoice.objects.filter(pk=rows[0].pk).update(amount_due=9000)
        approval_decide(request_id=request.pk, approve=how == "grown", note="No", actor_id=staff["boss"].pk, now=NOW)
    request.refresh_from_db()
    job = run(job)
    assert (request.status, job.status, job.skipped) == ("failed" if how == "grown" else how, "stopped", 2)
    [(_outcome, reason, count)] = reasons_of(job)
    assert count == 2
    assert {"declined": "No", "withdrawn": "Sorry", "grown": "more than what was approved"}[how] in reason
    assert not Adjustment.objects.exists()


def test_a_large_sum_is_not_two_jobs(staff: dict[str, User]) -> None:
    customer = f.customer(source="manual")
    rows = [f.invoice(customer, source="manual", amount_due=8000) for _ in range(2)]
    assert confirmed(rows[:1], staff["maria"]).status == "queued"
    assert confirmed(rows[1:], staff["maria"]).status == "to_approve"  # though the first has not run yet


def test_pages_say_who_must_decide_and_lead_there(staff: dict[str, User]) -> None:
    client, other = Client(), Client()
    client.force_login(staff["maria"])
    other.force_login(staff["boss"])
    job = drafted([owing(), owing()], staff["maria"])
    confirm = reverse("admin:customers_bulkjob_confirm", args=[job.pk])
    asks = client.get(confirm).content.decode()
    assert "above your limit" in asks
    assert "boss, chief" in asks
    waits = client.post(confirm, {"reason": "Gone"}, follow=True).content.decode()
    assert "boss, chief" in waits
    request = reverse("admin:billing_approvalrequest_change", args=[ApprovalRequest.objects.get().pk])
    assert request in waits
    assert reverse("admin:customers_bulkjob_do", args=[job.pk, "stop"]) not in waits
    page = other.get(request)
    assert reverse("admin:customers_bulkjob_change", args=[job.pk]) in page.content.decode()
    small = drafted([owing(1)], staff["maria"])
    assert "above your limit" not in client.get(
        reverse("admin:customers_bulkjob_confirm", args=[small.pk])
    ).content.decode()  # fmt: skip


def _at_once(*works):
    """Runs the works in threads that start together; returns their answers or the codes of their errors."""
    barrier, answers = Barrier(len(works)), []

    def one(work):
        barrier.wait()
        try:
            answers.append(work())
        except SollecitoError as error:
            answers.append(error.code)
        finally:
            connection.close()

    threads = [Thread(target=one, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.mark.django_db(transaction=True)
def test_of_two_who_decide_at_once_one_is_told_and_it_happens_once(staff: dict[str, User]) -> None:
    job = confirmed([owing(), owing()], staff["maria"])
    asked = ApprovalRequest.objects.get().pk

    def decide(name: str, approve: bool):
        return lambda: (
            approval_decide(
                request_id=asked, approve=approve, note="x", actor_id=staff[name].pk, now=NOW + timedelta(minutes=1)
            ).status
        )

    answers = _at_once(decide("boss", True), decide("chief", True))
    assert (len(answers), answers.count("done")) == (2, 1)
    assert run(job).done == 2
    assert Adjustment.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_two_jobs_confirmed_at_once_do_not_both_pass_the_limit(staff: dict[str, User]) -> None:
    customer, maria = f.customer(source="manual"), staff["maria"]
    rows = [f.invoice(customer, source="manual", amount_due=8000) for _ in range(2)]
    jobs = [drafted([row], maria).pk for row in rows]

    def confirm(pk: int):
        return lambda: job_confirm(job_id=pk, params={"reason": "x"}, actor_id=maria.pk, now=NOW).status

    assert sorted(_at_once(*map(confirm, jobs))) == ["queued", "to_approve"]
