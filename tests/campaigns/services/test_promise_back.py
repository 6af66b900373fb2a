"""Promises are taken back many at a time, each once, and stand again where nothing has come between."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from billing.models import Promise
from campaigns.engine.assess import assess_customers
from campaigns.models import Case
from campaigns.services.promises import promise_record
from customers.bulk.jobs import job_confirm, job_draft, job_undo_draft, reasons_of, undo_of
from customers.bulk.run import jobs_run
from customers.errors import SollecitoError
from customers.models import BulkJob, Customer, Interaction
from tests import factories as make
from tests.factories import NOW

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
WHY = "The sheet was last month's."


@pytest.fixture
def maria() -> User:
    return make.staff("collector", "maria")


def promised(user: User, *, days: int = 5, case: Case | None = None) -> Promise:
    """A promise to pay everything, of somebody with a case."""
    case = case or make.case(make.customer())
    return promise_record(
        customer_id=case.customer_id, brand_id=case.brand_id, amount=4_900, currency="EUR",
        promised_on=(NOW + days * DAY).date(), actor_id=user.pk, now=NOW,
    )  # fmt: skip


def run(ids: list[int], user: User) -> BulkJob:
    job = job_draft(act="promises.cancel", targets=ids, selection="", actor_id=user.pk, now=NOW)
    job_confirm(job_id=job.pk, params={"reason": WHY}, actor_id=user.pk, now=NOW)
    return finish(job)


def take_back(job: BulkJob, user: User, after: timedelta = DAY) -> BulkJob:
    draft = job_undo_draft(job_id=job.pk, actor_id=user.pk, now=NOW + after)
    job_confirm(job_id=draft.pk, params=job.params, actor_id=user.pk, now=NOW + after)
    return finish(draft, after)


def finish(job: BulkJob, after: timedelta = timedelta()) -> BulkJob:
    while jobs_run(now=NOW + after).job_id is not None:
        pass
    job.refresh_from_db()
    return job


def reasons(job: BulkJob) -> dict[str, int]:
    return {reason: count for _outcome, reason, count in reasons_of(job)}


def state(promise: Promise) -> tuple[str, str]:
    """Of the promise, and of its customer's case."""
    return Promise.objects.get(pk=promise.pk).status, Case.objects.get(customer=promise.customer_id).state


def test_those_that_stand_are_taken_back_once_and_the_others_say_why_not(maria: User) -> None:
    one, two, kept = promised(maria), promised(maria), promised(maria)
    Promise.objects.filter(pk=kept.pk).update(status="kept", closed_at=NOW)
    ids = [one.pk, two.pk, kept.pk]
    job = run(ids, maria)
    assert (job.done, reasons(job)) == (2, {"Its status is: Kept.": 1})
    lines = Interaction.objects.filter(kind="promise.cancelled")
    assert {(line.subject, line.body, line.actor) for line in lines} == {
        (f"promise:{row.pk}", WHY, maria) for row in (one, two)
    }
    assert one.history.count() == 2
    assert one.history.latest().history_user == maria
    assess_customers(now=NOW)
    assert [state(row) for row in (one, two, kept)] == [
        ("cancelled", "open"), ("cancelled", "open"), ("kept", "open"),
    ]  # fmt: skip
    with pytest.raises(SollecitoError, match="nothing to do"):
        run(ids, maria)
    assert lines.count() == 2


def test_one_that_was_kept_since_it_was_counted_is_left_alone(maria: User) -> None:
    one, two = promised(maria), promised(maria)
    job = job_draft(act="promises.cancel", targets=[one.pk, two.pk], selection="", actor_id=maria.pk, now=NOW)
    Promise.objects.filter(pk=two.pk).update(status="kept", closed_at=NOW)
    job_confirm(job_id=job.pk, params={"reason": WHY}, actor_id=maria.pk, now=NOW)
    finish(job)
    assert (job.done, reasons(job)) == (1, {"Its status is: Kept.": 1})
    assert state(two)[0] == "kept"


def test_they_stand_again_and_their_cases_rest_to_the_same_day(maria: User) -> None:
    row = promised(maria)
    job = run([row.pk], maria)
    assess_customers(now=NOW)
    assert state(row) == ("cancelled", "open")
    back = take_back(job, maria)
    assert (back.done, state(row)) == (1, ("open", "promised"))  # at once, before any loop has looked
    again, case = Promise.objects.get(pk=row.pk), Case.objects.get(customer=row.customer_id)
    assert (again.closed_at, case.rests_until, case.next_action_at) == (None, row.expires_at, None)
    told = Interaction.objects.order_by("-id").values_list("kind", flat=True)
    assert list(told[:2]) == ["case.rested", "promise.reopened"]
    assess_customers(now=NOW + DAY)
    assert state(row) == ("open", "promised")
    # It breaks on its day, as if nobody had touched it; and the taking back is not taken back.
    assess_customers(now=row.expires_at)
    assert state(row) == ("broken", "open")
    assert undo_of(back) is None
    assert undo_of(job) is None


def test_what_came_between_stays(maria: User) -> None:
    short, other, touched, free = promised(maria, days=0), promised(maria), promised(maria), promised(maria)
    job = run([row.pk for row in (short, other, touched, free)], maria)
    assess_customers(now=NOW)
    newer = promised(maria, case=Case.objects.get(customer=other.customer_id))
    Promise.objects.filter(pk=touched.pk).update(closed_at=NOW + timedelta(hours=1))
    back = take_back(job, maria, 3 * DAY)
    assert (back.done, reasons(back)) == (
        1, {"Its day has passed.": 1, "Another promise stands already.": 1, "Changed since.": 1},
    )  # fmt: skip
    statuses = [state(row)[0] for row in (short, other, touched, free, newer)]
    assert statuses == ["cancelled", "cancelled", "cancelled", "open", "open"]


def test_of_two_whose_customers_were_merged_one_stands_again(maria: User) -> None:
    one, two = promised(maria), promised(maria)
    job = run([one.pk, two.pk], maria)
    Promise.objects.filter(pk=two.pk).update(customer=one.customer_id, brand=one.brand_id)
    back = take_back(job, maria)
    assert (back.done, back.failed, reasons(back)) == (1, 0, {"Another promise stands already.": 1})


def test_a_chunk_costs_the_same_for_few_and_many(maria: User) -> None:
    def queries(count: int) -> tuple[int, int]:
        rows = [promised(maria).pk for _ in range(count)]
        job = job_draft(act="promises.cancel", targets=rows, selection="", actor_id=maria.pk, now=NOW)
        job_confirm(job_id=job.pk, params={"reason": WHY}, actor_id=maria.pk, now=NOW)
        with CaptureQueriesContext(connection) as there:
            assert jobs_run(now=NOW).done == count
        Case.objects.update(state="open", next_action_at=NOW)
        draft = job_undo_draft(job_id=job.pk, actor_id=maria.pk, now=NOW)
        job_confirm(job_id=draft.pk, params=job.params, actor_id=maria.pk, now=NOW)
        with CaptureQueriesContext(connection) as back:
            assert jobs_run(now=NOW).done == count
        return len(there), len(back)

    assert queries(2) == queries(30)


def test_from_the_list_by_who_may(maria: User) -> None:
    one, kept = promised(maria), promised(maria)
    Promise.objects.filter(pk=kept.pk).update(status="kept", closed_at=NOW)
    client, url = Client(), reverse("admin:billing_promise_changelist")
    client.force_login(maria)
    data = {"action": "promises_cancel", "_selected_action": [one.pk, kept.pk], "index": "0"}
    asked = client.post(url, data, follow=True)
    page = asked.content.decode()
    assert "1 will be changed." in page
    assert "1 · Its status is: Kept." in page
    confirm = asked.redirect_chain[-1][0]
    client.post(confirm, {"reason": ""})
    assert BulkJob.objects.get().status == "draft"  # a reason is asked for
    client.post(confirm, {"reason": WHY})
    finish(BulkJob.objects.get())
    assert Promise.objects.get(pk=one.pk).status == "cancelled"
    maria.groups.set([Group.objects.get(name="auditor")])
    assert "promises_cancel" not in client.get(url).content.decode()
    client.post(url, data)
    assert BulkJob.objects.count() == 1


def test_taken_back_it_wakes_whoever_assesses(maria: User) -> None:
    row = promised(maria)
    Customer.objects.update(reassess_at=None)
    run([row.pk], maria)
    assert Customer.objects.get(pk=row.customer_id).reassess_at == NOW
