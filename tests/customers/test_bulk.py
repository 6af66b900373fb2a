"""Bulk jobs do what was counted, each row once, whoever dies meanwhile; and can be taken back."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from customers.admin.bulk import job_url
from customers.bulk import BulkAct, Did, Row, act_named
from customers.bulk import acts as registry
from customers.bulk.jobs import (
    drafts_tidy,
    job_confirm,
    job_draft,
    job_refuse,
    job_release,
    job_stop,
    job_undo_draft,
    undo_of,
)
from customers.bulk.run import jobs_run
from customers.errors import SollecitoError
from customers.models import BulkItem, BulkJob, Customer, Interaction
from tests import factories as make
from tests.factories import NOW

pytestmark = pytest.mark.django_db
TAG = {"tag": "vip"}


@pytest.fixture
def maria() -> User:
    return make.staff("manager", "maria")


def people(count: int) -> list[int]:
    brand = make.brand()
    rows = Customer.objects.bulk_create(
        Customer(brand=brand, name=f"=cmd {n}", external_id=f"c{n}", source="stripe") for n in range(count)
    )
    return [row.pk for row in rows]


def confirmed(ids: Sequence[int], user: User, act: str = "customers.tag", params: Mapping[str, Any] = TAG) -> BulkJob:
    job = job_draft(act=act, targets=ids, selection="Some", actor_id=user.pk, now=NOW)
    return job_confirm(job_id=job.pk, params=params, actor_id=user.pk, now=NOW)


def finish(job: BulkJob, chunk: int = 500) -> BulkJob:
    while jobs_run(now=NOW, chunk=chunk).job_id is not None:
        pass
    job.refresh_from_db()
    return job


def outcomes(job: BulkJob) -> dict[int, tuple[str, str]]:
    return {pk: (outcome, reason) for pk, outcome, reason in job.items.values_list("target", "outcome", "reason")}


def test_ten_thousand_rows_cost_the_same_per_chunk_and_each_acts_once(maria: User) -> None:
    ids = people(10_000)
    job = confirmed(ids, maria)
    costs = set()
    while True:
        with CaptureQueriesContext(connection) as found:
            result = jobs_run(now=NOW)
        if result.job_id is None:
            break
        assert result.done == 500
        costs.add(len(found))
    assert len(costs) == 1
    assert max(costs) <= 20
    job.refresh_from_db()
    assert (job.status, job.done, job.skipped, job.failed, job.percent) == ("done", 10_000, 0, 0, 100)
    assert Interaction.objects.filter(kind="customer.tagged").count() == 10_000
    assert Customer.objects.filter(tags=["vip"]).count() == 10_000


def test_a_worker_that_dies_anywhere_leaves_a_chunk_whole_or_untouched(
    maria: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = people(30)
    job = confirmed(ids, maria)
    jobs_run(now=NOW, chunk=10)
    true = act_named("customers.tag")

    def dies(*args: Any) -> Any:
        true.act(*args)
        raise KeyboardInterrupt

    broken = BulkAct("customers.tag", "", true.permission, true.model, true.check, dies)
    with monkeypatch.context() as killed:
        killed.setitem(registry._acts, "customers.tag", broken)
        with pytest.raises(KeyboardInterrupt):
            jobs_run(now=NOW, chunk=10)
    assert Interaction.objects.filter(kind="customer.tagged").count() == 10
    finish(job, chunk=10)
    assert sorted(Interaction.objects.values_list("customer_id", flat=True)) == ids
    assert job.done == 30


def test_confirmed_twice_it_is_one_job_and_what_was_counted_is_done(maria: User) -> None:
    ids = people(4)
    Customer.objects.filter(pk=ids[0]).update(no_dunning=True)
    job = job_draft(act="customers.no_dunning", targets=ids[:3], selection="", actor_id=maria.pk, now=NOW)
    assert (job.total, job.skipped) == (3, 1)
    # One that was left alone fits by now, another does not any more: neither is done.
    Customer.objects.filter(pk=ids[0]).update(no_dunning=False)
    Customer.objects.filter(pk=ids[1]).update(no_dunning=True)
    for _ in range(2):
        job_confirm(job_id=job.pk, params={"reason": "Strike"}, actor_id=maria.pk, now=NOW)
    finish(job)
    assert outcomes(job) == {
        ids[0]: ("skipped", "Excluded already."),
        ids[1]: ("skipped", "Excluded already."),
        ids[2]: ("done", ""),
    }
    assert (job.done, job.skipped) == (1, 2)
    assert list(Interaction.objects.values_list("customer_id", "body")) == [(ids[2], "Strike")]
    assert not Customer.objects.get(pk=ids[0]).no_dunning
    assert not Customer.objects.get(pk=ids[3]).no_dunning


def test_a_row_nobody_foresaw_fails_alone_and_the_others_are_done(
    maria: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ids = people(3)
    true = act_named("customers.tag")

    def act(rows: Sequence[Row], params: Any, actor_id: int, now: datetime) -> Mapping[int, Did]:
        if any(row.id == ids[1] for row in rows):
            raise ValueError("odd")
        return true.act(rows, params, actor_id, now)

    odd = BulkAct("customers.tag", "", true.permission, true.model, true.check, act)
    monkeypatch.setitem(registry._acts, "customers.tag", odd)
    job = finish(confirmed(ids, maria))
    assert outcomes(job) == {ids[0]: ("done", ""), ids[1]: ("failed", "odd"), ids[2]: ("done", "")}
    assert "done row by row" in caplog.text


def test_rows_that_are_gone_and_people_who_lost_the_right_are_told(maria: User) -> None:
    ids = people(2)
    job = confirmed(ids, maria)
    Customer.objects.filter(pk=ids[0]).delete()
    assert outcomes(finish(job)) == {ids[0]: ("skipped", "It is not there any more."), ids[1]: ("done", "")}
    again = confirmed([ids[1]], maria, act="customers.untag")
    maria.groups.clear()
    finish(again)
    assert outcomes(again) == {ids[1]: ("skipped", "Who asked for it is not allowed to any more.")}


@pytest.mark.parametrize(
    ("act", "params", "field"),
    [
        ("customers.tag", TAG, "tags"),
        ("customers.no_dunning", {"reason": "Strike"}, "no_dunning"),
        ("customers.do_not_contact", {"reason": "Strike"}, "do_not_contact"),
    ],
)
def test_taken_back_only_what_it_did_and_only_once(
    maria: User, act: str, params: Mapping[str, Any], field: str
) -> None:
    ids = people(3)
    before = dict(Customer.objects.values_list("pk", field))
    job = finish(confirmed(ids[:2], maria, act=act, params=params))
    changed = {"tags": ["other"]} if field == "tags" else {"exclusion_reason": "Another"}
    Customer.objects.filter(pk=ids[1]).update(**changed)
    draft = job_undo_draft(job_id=job.pk, actor_id=maria.pk, now=NOW)
    draft = job_undo_draft(job_id=job.pk, actor_id=maria.pk, now=NOW)  # looked at and left: counted anew
    assert (draft.total, draft.skipped) == (2, 1)
    job_confirm(job_id=draft.pk, params=job.params, actor_id=maria.pk, now=NOW)
    finish(draft)
    assert outcomes(draft)[ids[0]] == ("done", "")
    assert outcomes(draft)[ids[1]][0] == "skipped"
    assert getattr(Customer.objects.get(pk=ids[0]), field) == before[ids[0]]
    assert undo_of(job) is None
    with pytest.raises(SollecitoError, match="cannot be taken back"):
        job_undo_draft(job_id=job.pk, actor_id=maria.pk, now=NOW)


def test_stopped_it_keeps_what_was_done_and_leaves_the_rest(maria: User) -> None:
    job = confirmed(people(30), maria)
    jobs_run(now=NOW, chunk=10)
    job = job_stop(job_id=job.pk, now=NOW)
    assert (job.status, job.done, job.skipped) == ("stopped", 10, 20)
    assert jobs_run(now=NOW).job_id is None
    assert Interaction.objects.count() == 10


class Strict:
    """Always asks, and remembers about which jobs."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def needed(self, job: BulkJob, now: datetime) -> str:
        return "Ask the boss."

    def ask(self, job: BulkJob, now: datetime) -> None:
        self.asked.append(job.pk)


def test_an_act_that_needs_a_second_person_waits_for_them(maria: User, monkeypatch: pytest.MonkeyPatch) -> None:
    true, strict = act_named("customers.tag"), Strict()
    act = BulkAct("customers.tag", "", true.permission, true.model, true.check, true.act, second_person=strict)
    monkeypatch.setitem(registry._acts, "customers.tag", act)
    agreed, refused = confirmed(people(1), maria), confirmed([make.customer().pk], maria)
    assert strict.asked == [agreed.pk, refused.pk]
    assert jobs_run(now=NOW).job_id is None
    with pytest.raises(SollecitoError, match="waits for a second person"):
        job_stop(job_id=agreed.pk, now=NOW)
    job_release(job_id=agreed.pk)
    assert finish(agreed).done == 1
    job = job_refuse(job_id=refused.pk, reason="Declined: no.", now=NOW)
    assert (job.status, job.skipped, list(outcomes(job).values())) == ("stopped", 1, [("skipped", "Declined: no.")])
    for answer in (lambda: job_release(job_id=job.pk), lambda: job_refuse(job_id=job.pk, reason="", now=NOW)):
        with pytest.raises(SollecitoError, match="does not wait"):
            answer()


def test_what_nobody_confirmed_is_thrown_away(maria: User) -> None:
    ids = people(2)
    old = job_draft(act="customers.tag", targets=ids, selection="", actor_id=maria.pk, now=NOW - timedelta(days=2))
    job_draft(act="customers.tag", targets=ids, selection="", actor_id=maria.pk, now=NOW)
    assert drafts_tidy(now=NOW) == 1
    assert not BulkJob.objects.filter(pk=old.pk).exists()


def test_from_a_list_to_the_result_file(maria: User, client: Client) -> None:
    client.force_login(maria)
    ids = people(3)
    Customer.objects.filter(pk=ids[0]).update(no_dunning=True)
    url = reverse("admin:customers_customer_changelist")
    asked = client.post(url, {"action": "customers_no_dunning", "_selected_action": ids, "index": "0"}, follow=True)
    page = asked.content.decode()
    assert "2 will be changed." in page
    assert "1 · Excluded already." in page
    confirm = asked.redirect_chain[-1][0]
    assert "This field is required" in client.post(confirm, {"reason": ""}).content.decode()
    running = client.post(confirm, {"reason": "Goodwill"}, follow=True).content.decode()
    assert 'role="progressbar"' in running
    assert 'aria-valuenow="33"' in running
    job = finish(BulkJob.objects.get())
    done = client.get(reverse("admin:customers_bulkjob_change", args=[job.pk])).content.decode()
    assert 'aria-valuenow="100"' in done
    assert "Take back" in done
    rows = client.get(reverse("admin:customers_bulkjob_change", args=[job.pk]) + "?section=rows").content.decode()
    assert rows.count("sol-badge-success") >= 2
    file = b"".join(client.get(reverse("admin:customers_bulkjob_result", args=[job.pk])).streaming_content).decode()
    lines = file.splitlines()
    assert len(lines) == 4
    assert "'=cmd 0" in lines[1]
    assert "Excluded already." in lines[1]
    undo = client.get(reverse("admin:customers_bulkjob_do", args=[job.pk, "undo"]), follow=True).content.decode()
    assert "2 will be changed." in undo


def test_only_who_counted_confirms_and_auditors_are_offered_nothing(maria: User, client: Client) -> None:
    job = job_draft(act="customers.tag", targets=people(1), selection="", actor_id=maria.pk, now=NOW)
    for name, role in (("other", "manager"), ("audit", "auditor")):
        user = make.staff(role, name)
        client.force_login(user)
        assert client.post(reverse("admin:customers_bulkjob_confirm", args=[job.pk]), TAG).status_code == 403
    listed = client.get(reverse("admin:customers_customer_changelist")).content.decode()
    assert "customers_tag" not in listed
    assert BulkJob.objects.get().status == "draft"


def test_what_an_act_did_that_is_no_more_is_still_looked_at(client: Client) -> None:
    boss = User.objects.create_superuser("boss")
    client.force_login(boss)
    job = BulkJob.objects.create(
        act="gone.act", asked_by=boss, created_at=NOW, confirmed_at=NOW, status="done", total=1, done=1
    )
    BulkItem.objects.create(job=job, target=5, outcome="done")
    url = job_url(job)
    assert "gone.act" in client.get(url).content.decode()
    assert "#5" in client.get(url, {"tab": "rows"}).content.decode()
    result = client.get(job_url(job, "result"))
    assert b"5,,,Done" in b"".join(result.streaming_content)  # type: ignore[attr-defined]
