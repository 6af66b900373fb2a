"""Whose customers somebody sees: by role, by team, on lists, pages, exports and figures, with 404 for the others."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.urls import reverse

from billing.models import ApprovalRequest
from campaigns.models import Segment
from campaigns.worklist.refresh import work_refresh
from customers.clock import running_on
from customers.errors import SollecitoError
from customers.models import BulkItem, BulkJob, Customer, RoleVisibility, Sees, Team
from customers.visibility import must_see, only_seen, path_to_customer, seen, seen_ids, sees
from tests import factories as f

pytestmark = pytest.mark.django_db


def person(name: str, *roles: str) -> User:
    user = User.objects.create_user(name, is_staff=True)
    user.groups.set(Group.objects.filter(name__in=roles or ("collector",)))
    return user


def owned(owner: User | None, **fields: Any) -> Customer:
    customer = f.customer()
    f.case(customer, owner=owner, **fields)
    return customer


@pytest.mark.parametrize(
    ("roles", "role_sees", "team_sees", "expected"),
    [
        (("collector",), {}, "", Sees.ALL),
        (("collector",), {"collector": Sees.OWN}, "", Sees.OWN),
        (("collector",), {"collector": Sees.OWN}, Sees.TEAM, Sees.TEAM),
        (("collector",), {}, Sees.OWN, Sees.OWN),
        (("collector", "senior"), {"collector": Sees.OWN, "senior": Sees.TEAM}, "", Sees.TEAM),
        (("collector", "senior"), {"collector": Sees.OWN}, "", Sees.ALL),
    ],
)
def test_the_team_goes_before_the_role_and_the_widest_counts(
    roles: tuple[str, ...], role_sees: dict[str, Sees], team_sees: str, expected: Sees
) -> None:
    user = person("anna", *roles)
    for role, value in role_sees.items():
        f.narrowed(role, value)
    Team.objects.create(name="North", sees=team_sees).members.add(user)
    assert sees(user) == expected


def test_own_and_team_and_what_nobody_has() -> None:
    anna, bruno, carla = person("anna"), person("bruno"), person("carla")
    Team.objects.create(name="North").members.set([anna, bruno])
    hers, his, other = owned(anna), owned(bruno), owned(carla)
    ended = owned(anna, state="recovered", closed_at=f.NOW, close_reason="paid", next_action_at=None)
    nobodys, none = owned(None), f.customer()
    f.narrowed("collector", Sees.OWN)
    assert set(seen(Customer.objects.all(), f.afresh(anna))) == {hers, ended}
    RoleVisibility.objects.update(sees=Sees.TEAM)
    assert set(seen(Customer.objects.all(), f.afresh(anna))) == {hers, ended, his, nobodys, none}
    assert seen_ids(f.afresh(carla)) == sorted(row.pk for row in (other, nobodys, none, ended))
    RoleVisibility.objects.update(sees=Sees.ALL)
    assert seen_ids(f.afresh(anna)) is None
    assert seen_ids(User.objects.create_superuser("boss")) is None


def test_what_tells_of_many_is_seen_by_who_asked_for_it() -> None:
    anna, bruno = person("anna"), person("bruno")
    hers, his = owned(anna), owned(bruno)
    mine, others = (
        BulkJob.objects.create(act="customers.tag", asked_by=who, created_at=f.NOW) for who in (anna, bruno)
    )
    asked = [
        ApprovalRequest.objects.create(
            act="write_off", customer=customer, requested_by=who, requested_at=f.NOW, key=str(number)
        )
        for number, (customer, who) in enumerate([(hers, bruno), (his, bruno), (None, anna), (None, bruno)])
    ]
    f.narrowed("collector", Sees.OWN)
    user = f.afresh(anna)
    assert list(seen(BulkJob.objects.all(), user, asked_by="asked_by")) == [mine]
    assert not seen(BulkJob.objects.all(), user, asked_by="").exists()
    assert set(seen(BulkJob.objects.all(), user)) == {mine, others}
    rows = ApprovalRequest.objects.all()
    assert set(seen(rows, user, asked_by="requested_by")) == {asked[0], asked[2]}
    assert set(seen(rows, user, asked_by="")) == {asked[0]}
    RoleVisibility.objects.update(sees=Sees.ALL)
    assert set(seen(rows, f.afresh(anna), asked_by="")) == set(asked)


def test_who_sees_some_customers_has_to_name_one_of_them() -> None:
    anna, bruno = person("anna"), person("bruno")
    hers, his = owned(anna), owned(bruno)
    for customer_id in (hers.pk, his.pk, None):
        must_see(f.afresh(anna), customer_id)
    f.narrowed("collector", Sees.OWN)
    must_see(f.afresh(anna), hers.pk)
    for customer_id in (his.pk, None):
        with pytest.raises(SollecitoError) as error:
            must_see(f.afresh(anna), customer_id)
        assert error.value.code == "customer_unseen"
    assert only_seen([3, 2, 1], None) == [3, 2, 1]
    assert only_seen([3, 2, 1], [1, 3, 9]) == [1, 3]
    assert only_seen([3, 2, 1], []) == []


def test_every_row_about_a_customer_leads_to_it() -> None:
    from billing.models import Allocation, PaymentAttempt, RetryModel
    from campaigns.models import Message, StepRun

    assert path_to_customer(Customer) == ""
    assert path_to_customer(Message) == path_to_customer(ApprovalRequest) == "customer"
    assert path_to_customer(PaymentAttempt) == "invoice__customer"
    assert path_to_customer(StepRun) == "case__customer"
    assert path_to_customer(Allocation) == "payment__customer"
    assert path_to_customer(RetryModel) is None


def test_lists_pages_exports_and_look_ups_end_where_sight_ends() -> None:
    anna, bruno = person("anna", "manager"), person("bruno")
    hers, his = owned(anna), owned(bruno)
    f.narrowed("manager", Sees.OWN)
    client = f.desk(anna)
    rows = {row.pk: row.invoices.get() for row in (hers, his)}
    listed = client.get(reverse("admin:customers_customer_changelist")).content.decode()
    assert (hers.name in listed, his.name in listed) == (True, False)
    for name in ("change", "history"):
        for row, status in ((hers, 200), (his, 404)):
            assert client.get(reverse(f"admin:customers_customer_{name}", args=[row.pk])).status_code == status
    for row, status in ((hers, 200), (his, 404)):
        case = row.cases.get()
        assert client.get(reverse("admin:customers_customer_do", args=[row.pk, "note"])).status_code == status
        assert client.get(reverse("admin:campaigns_case_change", args=[case.pk])).status_code == status
        assert client.get(reverse("admin:billing_invoice_change", args=[rows[row.pk].pk])).status_code == status
    note = reverse("admin:customers_customer_do", args=[his.pk, "note"])
    assert client.post(note, {"text": "x", "direction": "internal"}).status_code == 404
    assert not his.interactions.exists()
    found = client.get(
        reverse("admin:autocomplete"),
        {"app_label": "customers", "model_name": "contact", "field_name": "customer", "term": "customer"},
    ).json()["results"]
    assert [row["id"] for row in found] == [str(hers.pk)]


def test_segments_and_the_dashboard_count_only_whom_one_sees() -> None:
    anna, bruno = person("anna", "manager"), person("bruno")
    hers, his = owned(anna), owned(bruno)
    f.invoice(his, amount_due=770_000)
    f.narrowed("manager", Sees.OWN)
    client = f.desk(anna)
    segment = Segment.objects.create(code="late", name="Late", query="open_invoices > 0")
    page = client.get(reverse("admin:campaigns_segment_change", args=[segment.pk])).content.decode()
    assert (hers.name in page, his.name in page) == (True, False)
    counted = client.post(reverse("admin:campaigns_segment_count"), {"query": segment.query}).content.decode()
    assert (hers.name in counted, his.name in counted) == (True, False)
    front = client.get(reverse("admin:index")).content.decode()
    assert ("49.00" in front, "7,7" in front) == (True, False)


def test_the_worklist_and_bulk_acts_end_where_sight_ends() -> None:
    me, other = person("me", "manager"), person("other", "manager")
    f.narrowed("manager", Sees.OWN)
    mine, theirs = f.customer(name="Rossi Mine"), f.customer(name="Rossi Theirs")
    cases = [f.case(mine, owner=me), f.case(theirs, owner=other)]
    work_refresh(now=f.NOW, only=[mine.pk, theirs.pk])
    client = f.desk(me)
    with running_on(lambda: f.NOW):
        for query in ("tab=team", "tab=team&show=later", "tab=free", "tab=mine", "tab=team&q=rossi"):
            page = client.get(reverse("admin:campaigns_workitem_changelist") + f"?{query}").content.decode()
            assert "Rossi Theirs" not in page
        assert client.get(reverse("admin:campaigns_workitem_change", args=[theirs.pk])).status_code in (302, 404)
        ticked = {"action": "cases_pause", "_selected_action": [case.pk for case in cases]}
        client.post(reverse("admin:campaigns_case_changelist"), ticked)
        across = {**ticked, "select_across": "1"}
        client.post(reverse("admin:campaigns_case_changelist") + "?q=rossi", across)
    assert set(BulkItem.objects.values_list("target", flat=True)) == {cases[0].pk}
    assert BulkJob.objects.count() == 2
