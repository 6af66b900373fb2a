"""Acts on many rows ask first, say what they pass over, act once with a line each, and cost the same per batch."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from campaigns.models import Case, Segment
from campaigns.services.case_acts import assign_act, cases_do, cases_plan, pause_act, resume_act
from customers import bulk
from customers.errors import SollecitoError
from customers.exclusions import no_dunning_set
from customers.models import Customer, Interaction
from dunning_site.roles import roles_sync
from tests import factories as f
from tests.factories import NOW

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def maria() -> User:
    roles_sync()
    user = User.objects.create_user("maria", is_staff=True)
    user.groups.add(Group.objects.get(name="collector"))
    return user


@pytest.fixture
def collector(maria: User) -> Client:
    client = Client()
    client.force_login(maria)
    return client


@pytest.fixture
def cases() -> dict[str, Case]:
    """Two open cases, a promised, a paused and a closed one, of customers with the tag vip; an open one of another."""
    rows = {
        name: f.case(f.customer(tags=["vip"]), state=state, **more)
        for name, state, more in (
            ("one", "open", {}),
            ("two", "open", {}),
            ("promised", "promised", {"rests_until": NOW + 5 * DAY, "next_action_at": NOW + 5 * DAY}),
            ("paused", "paused", {"next_action_at": None, "rest_reason": "x"}),
            ("closed", "lost", {"closed_at": NOW, "next_action_at": None, "close_reason": "exhausted"}),
        )
    }
    return rows | {"other": f.case(f.customer())}


def states(cases: dict[str, Case]) -> dict[str, str]:
    return {name: Case.objects.get(pk=row.pk).state for name, row in cases.items()}


def test_the_plan_says_what_the_act_then_does_and_a_second_time_there_is_nothing(
    cases: dict[str, Case], maria: User
) -> None:
    ids = [row.pk for row in cases.values()]
    act = pause_act(until=NOW + DAY, reason="Strike at the bank", now=NOW)
    plan = cases_plan(case_ids=ids, act=act)
    assert (plan.done, dict(plan.skipped)) == (
        3,
        {"Its state is: Promised.": 1, "Its state is: Paused.": 1, "Its state is: Lost.": 1},
    )
    assert cases_do(case_ids=ids, act=act, actor_id=maria.pk, now=NOW) == plan
    assert set(Interaction.objects.filter(kind="case.paused").values_list("subject", "body", "actor_id")) == {
        (f"case:{cases[name].pk}", "Strike at the bank", maria.pk) for name in ("one", "two", "other")
    }
    assert cases_do(case_ids=ids, act=act, actor_id=maria.pk, now=NOW).done == 0
    assert Interaction.objects.filter(kind="case.paused").count() == 3
    done = cases_do(case_ids=ids, act=resume_act(), actor_id=maria.pk, now=NOW + DAY)
    assert (done.done, states(cases)["promised"], states(cases)["one"]) == (4, "promised", "open")
    assert Customer.objects.filter(reassess_at=NOW + DAY).count() == 4


def test_an_owner_who_may_not_be_one_is_refused_and_nothing_changes(cases: dict[str, Case], maria: User) -> None:
    User.objects.filter(pk=maria.pk).update(is_active=False)
    with pytest.raises(SollecitoError, match="active staff"):
        assign_act(owner_id=maria.pk)
    assert not Case.objects.exclude(owner=None).exists()


@pytest.mark.parametrize("which", ["pause", "resume", "assign", "no_dunning"])
def test_a_batch_costs_the_same_for_few_and_many(which: str, maria: User) -> None:
    def queries(count: int) -> int:
        rows = [f.case(f.customer(), state="paused" if which == "resume" else "open") for _ in range(count)]
        with CaptureQueriesContext(connection) as found:
            if which == "no_dunning":
                people = [row.customer_id for row in rows]
                done = no_dunning_set(customer_ids=people, reason="x", actor_id=maria.pk, now=NOW)
            else:
                act = {
                    "pause": lambda: pause_act(until=None, reason="x", now=NOW),
                    "resume": resume_act,
                    "assign": lambda: assign_act(owner_id=maria.pk),
                }[which]()
                done = cases_do(case_ids=[row.pk for row in rows], act=act, actor_id=maria.pk, now=NOW)
        assert done.done == count
        return len(found)

    assert queries(2) == queries(40)


def test_more_than_a_batch_is_done_whole(monkeypatch: pytest.MonkeyPatch, cases: dict[str, Case], maria: User) -> None:
    monkeypatch.setattr(bulk, "BATCH", 2)
    ids = [row.pk for row in cases.values()]
    done = cases_do(case_ids=ids, act=assign_act(owner_id=maria.pk), actor_id=maria.pk, now=NOW)
    assert (done.done, dict(done.skipped)) == (5, {"Its state is: Lost.": 1})


def test_exclusions_are_logged_kept_in_history_and_told(maria: User) -> None:
    fresh, already = f.customer(), f.customer(no_dunning=True, exclusion_reason="before")
    gone = f.customer(deleted_at=NOW)
    ids = [fresh.pk, already.pk, gone.pk]
    done = no_dunning_set(customer_ids=ids, reason="Goodwill", actor_id=maria.pk, now=NOW)
    assert (done.done, dict(done.skipped)) == (1, {"Excluded already.": 1, "Deleted at the source.": 1})
    fresh.refresh_from_db()
    already.refresh_from_db()
    assert (fresh.no_dunning, fresh.exclusion_reason, fresh.reassess_at) == (True, "Goodwill", NOW)
    assert already.exclusion_reason == "before"
    newest: Any = fresh.history.first()
    assert (newest.history_user, newest.no_dunning) == (maria, True)
    assert Interaction.objects.get().body == "Goodwill"
    with pytest.raises(SollecitoError, match="Say why"):
        no_dunning_set(customer_ids=ids, reason=" ", actor_id=maria.pk, now=NOW)


def test_a_whole_segment_is_paused_after_a_page_that_counts(collector: Client, cases: dict[str, Case]) -> None:
    segment = Segment.objects.create(code="vip", name="VIP", query='tags = "vip"')
    url = reverse("admin:campaigns_segment_do", args=[segment.pk, "pause_cases"])
    page = collector.get(url).content.decode()
    assert "2 will be changed." in page
    assert "1 · Its state is: Promised." in page
    assert states(cases)["one"] == "open"
    collector.post(url, {"until_0": "", "until_1": "", "reason": "Strike"})
    assert states(cases) == {
        "one": "paused", "two": "paused", "promised": "promised", "paused": "paused", "closed": "lost",
        "other": "open",
    }  # fmt: skip
    assert "There is nothing to do." in collector.get(url).content.decode()
    out = reverse("admin:campaigns_segment_do", args=[segment.pk, "no_dunning"])
    collector.post(out, {"reason": "Goodwill"})
    assert Customer.objects.filter(no_dunning=True).count() == 5


def test_ticked_rows_of_a_list_are_asked_about_first(collector: Client, cases: dict[str, Case]) -> None:
    url = reverse("admin:campaigns_case_changelist") + "?brand__id__exact=" + str(cases["one"].brand_id)
    data = {"action": "pause_cases", "_selected_action": [cases["one"].pk, cases["promised"].pk], "index": "0"}
    page = collector.post(url, data).content.decode()
    assert "1 will be changed." in page
    assert "1 · Its state is: Promised." in page
    assert f'name="_selected_action" value="{cases["one"].pk}"' in page
    assert states(cases)["one"] == "open"
    refused = collector.post(url, data | {"confirmed": "1", "reason": ""})
    assert "This field is required" in refused.content.decode()
    done = collector.post(url, data | {"confirmed": "1", "reason": "Strike"}, follow=True).content.decode()
    assert "1 was changed. 1 left alone: Its state is: Promised." in done
    assert states(cases)["one"] == "paused"
    assert states(cases)["two"] == "open"


def test_the_whole_filtered_list_is_acted_on_when_asked_for(
    collector: Client, cases: dict[str, Case], maria: User
) -> None:
    Segment.objects.create(code="vip", name="VIP", query='tags = "vip"')
    url = reverse("admin:campaigns_case_changelist") + "?segment=vip"
    data = {"action": "assign_cases", "_selected_action": [cases["one"].pk], "index": "0", "select_across": "1"}
    assert "4 will be changed." in collector.post(url, data).content.decode()
    collector.post(url, data | {"confirmed": "1", "owner": maria.pk})
    owned = set(Case.objects.filter(owner=maria).values_list("pk", flat=True))
    assert owned == {cases[name].pk for name in ("one", "two", "promised", "paused")}


def test_who_may_not_change_cases_is_not_offered_it(cases: dict[str, Case]) -> None:
    roles_sync()
    user = User.objects.create_user("audit", is_staff=True)
    user.groups.add(Group.objects.get(name="auditor"))
    client = Client()
    client.force_login(user)
    url = reverse("admin:campaigns_case_changelist")
    assert "pause_cases" not in client.get(url).content.decode()
    data = {"action": "pause_cases", "_selected_action": [cases["one"].pk], "index": "0", "confirmed": "1"}
    client.post(url, data | {"reason": "x"})
    assert states(cases)["one"] == "open"
    segment = Segment.objects.create(code="vip", name="VIP", query='tags = "vip"')
    assert client.get(reverse("admin:campaigns_segment_do", args=[segment.pk, "pause_cases"])).status_code == 403
