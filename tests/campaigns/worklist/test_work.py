"""The list as it is kept and worked: marked by what happens, ranked, claimed, put aside, finished, given out."""

import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from billing.models import Payment, Promise
from campaigns.engine.assess import assess_customers
from campaigns.models import Case, Task, WorkAction, WorkChance, WorkItem
from campaigns.services.cases import case_pause
from campaigns.services.promises import promise_record
from campaigns.services.tasks import task_complete
from campaigns.services.work import (
    distribute,
    work_assign,
    work_claim,
    work_done,
    work_release,
    work_snooze,
)
from campaigns.worklist.chances import chances_count
from campaigns.worklist.lists import PAGE, WorkQuery, work_next, work_page, work_rows
from campaigns.worklist.marks import work_mark
from campaigns.worklist.refresh import work_refresh, work_refresh_all
from customers.errors import SollecitoError
from customers.log import Entry, record
from customers.models import Interaction
from customers.notes import call_log
from customers.services import customers_reassess
from tests import factories as make
from tests.factories import NOW

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def staff(name: str = "anna") -> User:
    return User.objects.create_user(name, f"{name}@example.com", "a-long-password", is_staff=True)


def owing(balance: int = 4900, **fields: Any) -> Case:
    """A case over one invoice of a customer with a telephone."""
    customer = make.customer(**({"phone": "+393331234567"} | fields))
    return make.case(customer, invoices=[make.invoice(customer, amount_due=balance)])


def refresh(now: Any = NOW) -> None:
    work_mark(Case.objects.values_list("customer_id", flat=True), now)
    for _result in work_refresh_all(now=now):
        pass


def row(case: Case) -> WorkItem:
    return WorkItem.objects.get(pk=case.customer_id)


@pytest.mark.django_db
def test_a_case_comes_onto_the_list_and_leaves_it_when_paid() -> None:
    case = owing()
    customers_reassess([case.customer_id], NOW)
    assess_customers(now=NOW)

    assert work_refresh(now=NOW).ranked == 1
    item = row(case)
    assert (item.action, item.case_id, item.due_at) == (WorkAction.CALL, case.pk, NOW)
    assert (item.balances, item.currency, item.balance) == ({"EUR": 4900}, "EUR", 4900)
    assert work_refresh(now=NOW).claimed == 0

    invoice = case.case_invoices.get().invoice
    invoice.amount_paid, invoice.status, invoice.paid_at = invoice.amount_due, "paid", NOW
    invoice.save()
    customers_reassess([case.customer_id], NOW)
    assess_customers(now=NOW)

    assert work_refresh(now=NOW).gone == 1
    assert not WorkItem.objects.exists()


@pytest.mark.django_db
def test_a_promise_rests_the_row_until_it_breaks_and_then_it_stands_on_top() -> None:
    anna, case, rich = staff(), owing(), owing(99_000_000)
    promise_record(
        customer_id=case.customer_id, brand_id=case.brand_id, amount=4900, currency="EUR",
        promised_on=(NOW + DAY).date(), now=NOW, actor_id=anna.pk,
    )  # fmt: skip
    assess_customers(now=NOW)
    refresh()
    assert row(case).rest == "promised"
    assert [item.pk for item in work_rows(WorkQuery(tab="team"), anna, NOW)] == [rich.customer_id]

    broken = Promise.objects.get().expires_at
    assess_customers(now=broken)
    for _result in work_refresh_all(now=broken):
        pass

    listed = list(work_rows(WorkQuery(tab="team"), anna, broken))
    assert [item.pk for item in listed] == [case.customer_id, rich.customer_id]
    assert listed[0].reasons[0][0] == "broken_today"


@pytest.mark.django_db
def test_pauses_calls_and_answers_move_the_row() -> None:
    anna, case = staff(), owing()
    refresh()
    case_pause(case_id=case.pk, until=NOW + 3 * DAY, reason="Fair", actor_id=anna.pk, now=NOW)
    work_refresh(now=NOW)
    assert (row(case).rest, row(case).due_at) == ("paused", NOW + 3 * DAY)

    other = owing()
    call_log(customer_id=other.customer_id, outcome="no_answer", actor_id=anna.pk, now=NOW)
    work_refresh(now=NOW, only=[other.customer_id])
    assert (row(other).rest, row(other).touched) == ("contact_rules", "call.logged no_answer")

    Task.objects.create(
        customer=case.customer, case=case, kind="review", title="They wrote", due_at=NOW, created_at=NOW,
        key=f"reply:{case.customer_id}:1",
    )  # fmt: skip
    work_refresh(now=NOW, only=[case.customer_id])
    assert (row(case).action, row(case).rest, row(case).tasks) == (WorkAction.ANSWER, "", 1)

    task_complete(task_id=Task.objects.get().pk, outcome="Answered", actor_id=anna.pk, now=NOW)
    work_refresh(now=NOW)
    assert row(case).rest == "paused"


@pytest.mark.django_db
def test_refreshing_costs_the_same_for_one_and_for_fifty(django_assert_num_queries: Any) -> None:
    def count() -> int:
        with CaptureQueries() as taken:
            work_refresh(now=NOW)
        return taken.count

    owing()
    work_mark(Case.objects.values_list("customer_id", flat=True), NOW)
    work_refresh(now=NOW)  # what is remembered between calls is remembered now
    work_mark(Case.objects.values_list("customer_id", flat=True), NOW)
    alone = count()
    for _i in range(49):
        owing()
    work_mark(Case.objects.values_list("customer_id", flat=True), NOW)

    assert count() == alone
    assert WorkItem.objects.count() == 50


class CaptureQueries:
    """How many statements a block ran."""

    count = 0

    def __enter__(self) -> "CaptureQueries":
        from django.test.utils import CaptureQueriesContext

        self._context = CaptureQueriesContext(connection)
        self._context.__enter__()
        return self

    def __exit__(self, *told: Any) -> None:
        self._context.__exit__(*told)
        self.count = len(self._context)


@pytest.mark.django_db
def test_pages_walk_the_whole_list_once_and_in_order() -> None:
    anna = staff()
    cases = [owing(1000 * (i // 3 + 1)) for i in range(PAGE + 7)]
    refresh()
    rows = work_rows(WorkQuery(tab="team"), anna, NOW)
    first, key = work_page(rows, "")
    second, end = work_page(rows, key)

    assert (len(first), len(second), end) == (PAGE, 7, "")
    found = [(-item.rank, item.pk) for item in [*first, *second]]
    assert found == sorted(found)
    assert {pk for _rank, pk in found} == {case.customer_id for case in cases}
    assert work_page(rows, "nonsense")[0] == first


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("narrowed", "found"),
    [
        ({"country": "PL"}, {"Łódź"}),
        ({"q": "łódź"}, {"Łódź"}),
        ({"q": "nobody"}, set()),
        ({"band": "31"}, {"Milano"}),
        ({"band": "0"}, {"Łódź"}),
        ({"action": "write"}, {"Milano"}),
        ({"reach": "1"}, {"Łódź"}),
        ({"segment": "gone"}, set()),
    ],
)
def test_filters(narrowed: dict[str, str], found: set[str]) -> None:
    owing(name="Łódź", country="PL", timezone="Europe/Warsaw")
    milano = make.customer(name="Milano", phone="")
    late = make.invoice(milano, first_failed_at=NOW - 40 * DAY, due_at=NOW - 40 * DAY)
    make.case(milano, invoices=[late])
    refresh()
    query = WorkQuery.read({"tab": "team", **narrowed})

    assert {item.customer.name for item in work_rows(query, staff(), NOW)} == found
    assert WorkQuery.read(dict(query.items())) == query


@pytest.mark.django_db
def test_next_prefers_whom_one_may_call_at_this_hour() -> None:
    anna = staff()
    asleep = owing(9_000_000, country="NZ", timezone="Pacific/Auckland")
    awake = owing(1000)
    refresh()
    query = WorkQuery(tab="free")

    assert work_next(query, anna, NOW) == awake.customer_id
    assert work_next(query, anna, NOW, [awake.customer_id]) == asleep.customer_id
    assert work_next(WorkQuery(), anna, NOW) is None


@pytest.mark.django_db
def test_claiming_takes_case_and_tasks_and_gives_them_back() -> None:
    anna, bob, case = staff(), staff("bob"), owing()
    task = Task.objects.create(customer=case.customer, kind="call", title="Ring", due_at=NOW, created_at=NOW)
    refresh()
    for _twice in range(2):
        work_claim(customer_id=case.customer_id, actor_id=anna.pk, now=NOW)
    case.refresh_from_db()
    task.refresh_from_db()
    assert (case.owner, task.assignee, row(case).owner) == (anna, anna, anna)
    assert Interaction.objects.filter(kind="case.assigned").count() == 1

    with pytest.raises(SollecitoError, match="anna was quicker"):
        work_claim(customer_id=case.customer_id, actor_id=bob.pk, now=NOW)
    with pytest.raises(SollecitoError, match="Only your own"):
        work_release(customer_id=case.customer_id, actor_id=bob.pk, now=NOW)
    work_release(customer_id=case.customer_id, actor_id=anna.pk, now=NOW)
    work_claim(customer_id=case.customer_id, actor_id=bob.pk, now=NOW)
    work_refresh(now=NOW)
    assert row(case).owner == bob


@pytest.mark.django_db
def test_putting_aside_and_finishing() -> None:
    anna, case = staff(), owing()
    Task.objects.create(customer=case.customer, case=case, kind="review", title="Look", due_at=NOW, created_at=NOW)
    call = Task.objects.create(
        customer=case.customer, case=case, kind="call", title="Ring", due_at=NOW, created_at=NOW
    )
    refresh()
    assert work_done(customer_id=case.customer_id, actor_id=anna.pk, now=NOW, outcome="Seen to") == 1
    assert list(Task.objects.filter(status="open")) == [call]
    assert (row(case).rest, row(case).due_at) == ("snoozed", NOW + timedelta(hours=20))

    assert work_done(customer_id=case.customer_id, actor_id=anna.pk, now=NOW, call="no_answer") == 1
    assert not Task.objects.filter(status="open").exists()

    work_snooze(customer_id=case.customer_id, until=NOW + 2 * DAY, actor_id=anna.pk, now=NOW, reason="On holiday")
    assert row(case).due_at == NOW + 2 * DAY
    for span in (-HOUR, timedelta(days=31)):
        with pytest.raises(SollecitoError, match="snooze ends"):
            work_snooze(customer_id=case.customer_id, until=NOW + span, actor_id=anna.pk, now=NOW)
    kinds = Interaction.objects.filter(kind__startswith="work.").values_list("kind", "actor")
    assert Counter(kinds) == {("work.done", anna.pk): 2, ("work.snoozed", anna.pk): 1}

    # A word from the customer ends it.
    record(
        Entry(customer_id=case.customer_id, at=NOW + HOUR, kind="reply.received", summary="!", direction="in",
              channel="email")
    )  # fmt: skip
    work_refresh(now=NOW + 2 * HOUR, only=[case.customer_id])
    assert row(case).rest != "snoozed"


@pytest.mark.django_db
def test_giving_out_in_turn() -> None:
    anna, bob, case = staff(), staff("bob"), owing()
    others = [owing() for _i in range(4)]
    refresh()
    work_claim(customer_id=case.customer_id, actor_id=anna.pk, now=NOW)
    ids = [row.customer_id for row in (case, *others)]
    done = work_assign(customer_ids=ids, owner_ids=[anna.pk, bob.pk], actor_id=anna.pk, now=NOW)

    assert (done.done, sum(done.skipped.values())) == (4, 1)
    loads = Counter(Case.objects.values_list("owner__username", flat=True))
    assert sorted(loads.values()) == [2, 3]
    assert work_assign(customer_ids=ids, owner_ids=[], actor_id=anna.pk, now=NOW).done == 5
    with pytest.raises(SollecitoError, match="active staff"):
        work_assign(customer_ids=ids, owner_ids=[0], actor_id=anna.pk, now=NOW)


@given(
    st.lists(st.integers(1, 60), unique=True),
    st.dictionaries(st.integers(100, 104), st.integers(0, 30), min_size=1),
)
def test_nobody_gets_more_while_somebody_has_less(rows: list[int], loads: dict[int, int]) -> None:
    given_out = distribute([(pk, None) for pk in rows], Counter(loads))

    assert sorted(pk for ids in given_out.values() for pk in ids) == sorted(rows)
    after = {owner: load + len(given_out.get(owner, [])) for owner, load in loads.items()}
    gained = [owner for owner in loads if owner in given_out]
    assert all(after[owner] <= min(after.values()) + 1 for owner in gained)


@pytest.mark.django_db
def test_chances_are_counted_from_talks_and_money() -> None:
    anna = staff()
    for paid in (True, True, False):
        case = owing()
        talk = NOW - 20 * DAY
        invoice = case.case_invoices.get().invoice
        type(invoice).objects.filter(pk=invoice.pk).update(
            first_failed_at=talk - 40 * DAY, last_decline_category="expired"
        )
        call_log(customer_id=case.customer_id, outcome="spoke", actor_id=anna.pk, now=talk)
        call_log(customer_id=case.customer_id, outcome="no_answer", actor_id=anna.pk, now=talk)
        if paid:
            Payment.objects.create(
                customer=case.customer, amount=100, currency="EUR", received_at=talk + 3 * DAY, source="manual"
            )
    call_log(customer_id=case.customer_id, outcome="spoke", actor_id=anna.pk, now=NOW - DAY)  # not ripe yet

    assert chances_count(now=NOW) == 3
    assert list(WorkChance.objects.values_list("reason", "band", "talks", "paid")) == [("new_card", 31, 3, 2)]


def _both_claim(customer_id: int, people: list[User], claim: Any) -> list[str]:
    """Two people click at once, each on a connection of their own; what each was told."""
    told: list[str] = []
    ready = threading.Barrier(2)

    def click(person: User) -> None:
        ready.wait(timeout=10)
        try:
            claim(customer_id=customer_id, actor_id=person.pk, now=NOW)
            told.append("mine")
        except SollecitoError as error:
            told.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=click, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    return sorted(told)


@pytest.mark.django_db(transaction=True)
def test_of_two_who_claim_at_once_one_is_told() -> None:
    people = [staff(), staff("bob")]
    for _round in range(5):
        case = owing()
        work_mark([case.customer_id], NOW)
        work_refresh(now=NOW)
        assert _both_claim(case.customer_id, people, work_claim) == ["claimed", "mine"]
        case.refresh_from_db()
        assert case.owner_id == row(case).owner_id


@pytest.mark.django_db(transaction=True)
def test_the_same_two_without_a_lock_both_believe_it_is_theirs() -> None:
    """The control: what the test above would show if claiming looked first and wrote afterwards."""
    people = [staff(), staff("bob")]
    case = owing()
    work_mark([case.customer_id], NOW)
    work_refresh(now=NOW)
    looked = threading.Barrier(2)

    def careless(*, customer_id: int, actor_id: int, now: Any) -> None:
        free = WorkItem.objects.get(pk=customer_id).owner_id is None
        looked.wait(timeout=10)
        if not free:
            raise SollecitoError("Somebody was quicker.", code="claimed")
        WorkItem.objects.filter(pk=customer_id).update(owner_id=actor_id)

    assert _both_claim(case.customer_id, people, careless) == ["mine", "mine"]
