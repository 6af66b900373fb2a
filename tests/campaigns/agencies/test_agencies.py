"""A case at an agency is left alone by us, what comes in is counted once, only what was agreed leaves the house."""

import csv
import io
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pypdf import PdfReader

from billing.models import Allocation, Invoice, Payment, PaymentAttempt
from billing.retries.eligibility import refusal
from campaigns.agencies import cases_hand_over, cases_recall, handover_name, handovers_follow, package_make
from campaigns.engine.load import load_cases
from campaigns.engine.run import escalate_due
from campaigns.guard.check import check
from campaigns.models import Agency, AgencyRecovery, Case, Handover, Task
from customers.errors import SollecitoError
from customers.log import Entry, record
from customers.models import Interaction
from tests import factories as make
from tests.factories import NOW

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def boss() -> User:
    return make.staff("manager", "boss")


@pytest.fixture
def agency() -> Agency:
    return Agency.objects.create(code="fair", name="Fair Collections", commission_bps=2550, tail_days=10)


def hand_over(case: Case, agency: Agency, user: User, now: datetime = NOW) -> Handover:
    did = cases_hand_over(case_ids=[case.pk], agency_id=agency.pk, reason="Ladder over", actor_id=user.pk, now=now)
    assert did[case.pk].done, did[case.pk].reason
    return Handover.objects.get(case=case, status="open")


def paid(invoice: Invoice, amount: int, at: datetime, refunded: int = 0) -> Payment:
    payment = Payment.objects.create(
        customer=invoice.customer, amount=amount, allocated=amount, refunded=refunded, currency=invoice.currency,
        received_at=at, external_id=f"p{Payment.objects.count()}",
    )  # fmt: skip
    Allocation.objects.create(payment=payment, invoice=invoice, amount=amount)
    return payment


def test_at_an_agency_nobody_here_writes_or_charges_and_the_customer_may_pay(agency: Agency, boss: User) -> None:
    customer = make.customer()
    account, invoice = make.account(retry_mode="own"), make.invoice(customer)
    make.attempt(invoice, status="planned", origin="retry", scheduled_for=NOW + DAY, at=None, decline_code="")
    case = make.case(customer, invoices=[invoice])
    Task.objects.create(customer=customer, case=case, kind="call", title="Call", due_at=NOW, created_at=NOW)
    row = hand_over(case, agency, boss)
    case.refresh_from_db()
    invoice.refresh_from_db()
    assert (case.state, case.next_action_at, invoice.at_agency) == ("agency", None, True)
    assert (row.agency, row.commission_bps, row.handed_by) == (agency, 2550, boss)
    assert list(row.handover_invoices.values_list("invoice", "balance", "currency")) == [(invoice.pk, 4900, "EUR")]
    assert PaymentAttempt.objects.get().status == "cancelled"
    assert Task.objects.get().status == "cancelled"
    guard = load_cases([case.pk], NOW).cases[0].snapshot.guard
    assert getattr(check(guard, "email", NOW), "rule", "") == "case.agency"

    def why(origin: str) -> str:
        found = refusal(invoice, account=account, promised=False, origin=origin, now=NOW)
        return found.code if found else ""

    assert (why("retry"), why("staff"), why("portal")) == ("at_agency", "at_agency", "")
    assert Interaction.objects.get(kind="case.handed_over").actor == boss
    again = cases_hand_over(case_ids=[case.pk], agency_id=agency.pk, reason="", actor_id=boss.pk, now=NOW)
    assert again[case.pk].reason == "It is at an agency already."
    assert Handover.objects.count() == 1


def test_recalled_it_goes_on_and_may_be_charged_again(agency: Agency, boss: User) -> None:
    case = make.case(make.customer())
    hand_over(case, agency, boss)
    for _ in range(2):
        cases_recall(case_ids=[case.pk], reason="They pay us", actor_id=boss.pk, now=NOW + DAY)
    case.refresh_from_db()
    row = Handover.objects.get()
    assert (case.state, case.next_action_at, row.status, row.end_reason) == (
        "open",
        NOW + DAY,
        "recalled",
        "They pay us",
    )
    assert not Invoice.objects.filter(at_agency=True).exists()
    assert Interaction.objects.filter(kind="case.recalled").count() == 1


@pytest.mark.parametrize(
    ("state", "customer", "why"),
    [
        ("promised", {}, "Promised"),
        ("lost", {}, "has ended"),
        ("open", {"legal_hold": True}, "legal hold"),
        ("open", {"vulnerable": True}, "vulnerable"),
        ("open", {"no_dunning": True}, "excluded"),
    ],
)
def test_who_may_not_be_pressed_is_not_handed_over(
    agency: Agency, boss: User, state: str, customer: dict[str, Any], why: str
) -> None:
    ended = {"closed_at": NOW, "next_action_at": None} if state == "lost" else {}
    case = make.case(make.customer(**customer), state=state, **ended)
    did = cases_hand_over(case_ids=[case.pk], agency_id=agency.pk, reason="", actor_id=boss.pk, now=NOW)
    assert why in did[case.pk].reason
    assert not Handover.objects.exists()


def test_we_go_on_charging_where_that_was_agreed(agency: Agency, boss: User) -> None:
    Agency.objects.update(we_charge=True)
    case = make.case(make.customer())
    hand_over(case, agency, boss)
    assert not Invoice.objects.filter(at_agency=True).exists()


@pytest.mark.parametrize(
    ("named", "found"), [("Fair Collections", True), ("FAIR", True), ("", True), ("Unheard Of", False)]
)
def test_a_ladders_step_hands_over_and_asks_where_it_names_nobody_known(
    agency: Agency, boss: User, named: str, found: bool
) -> None:
    params = {"agency": named} if named else {}
    version = make.ladder(steps=[{"offset": 0, "action": "hand_to_agency", "params": params}])
    case = make.case(make.customer(), ladder_version=version)
    assert escalate_due(now=NOW).done == 1
    row = Handover.objects.get()
    case.refresh_from_db()
    assert (case.state, row.handed_by) == ("agency", None)
    assert Invoice.objects.filter(at_agency=True).count() == 1
    if found:
        assert (row.agency, row.commission_bps) == (agency, 2550)
        assert not Task.objects.exists()
        return
    assert (row.agency, row.agency_named) == (None, named)
    task = Task.objects.get()
    assert named in task.notes
    with pytest.raises(SollecitoError, match="open hand-overs to one agency"):
        package_make(handover_ids=[row.pk], form="csv", actor_id=boss.pk, now=NOW)
    handover_name(handover_id=row.pk, agency_id=agency.pk, actor_id=boss.pk, now=NOW)
    row.refresh_from_db()
    task.refresh_from_db()
    assert (row.agency, row.commission_bps, task.status) == (agency, 2550, "done")


def test_what_comes_in_is_counted_once_whatever_the_order(agency: Agency, boss: User) -> None:
    invoice = make.invoice(make.customer(), amount_due=100_000)
    case = make.case(invoice.customer, invoices=[invoice])
    paid(invoice, 1_000, NOW - DAY)  # before
    hand_over(case, agency, boss)
    paid(invoice, 333, NOW)  # at that very moment
    refunded = paid(invoice, 10_001, NOW + DAY, refunded=5_000)
    assert handovers_follow(now=NOW + DAY).counted == 2
    assert handovers_follow(now=NOW + DAY).counted == 0
    told = {row.amount: row.commission for row in AgencyRecovery.objects.all()}
    assert told == {333: 85, 5_001: 1275}  # 84.9 and 1275.3 at 25.5 %
    Payment.objects.filter(pk=refunded.pk).update(refunded=10_001)
    handovers_follow(now=NOW + 2 * DAY)
    assert AgencyRecovery.objects.get(allocation__payment=refunded).commission == 0
    cases_recall(case_ids=[case.pk], reason="x", actor_id=boss.pk, now=NOW + 2 * DAY)
    paid(invoice, 2_000, NOW + 12 * DAY - timedelta(seconds=1))  # within the tail
    paid(invoice, 4_000, NOW + 12 * DAY)
    handovers_follow(now=NOW + 20 * DAY)
    assert sorted(AgencyRecovery.objects.values_list("amount", flat=True)) == [0, 333, 2_000]


@pytest.mark.parametrize("state", ["recovered", "open"])
def test_a_hand_over_ends_with_its_case_or_when_it_goes_on_with_us(agency: Agency, boss: User, state: str) -> None:
    case = make.case(make.customer())
    hand_over(case, agency, boss)
    ended = {"closed_at": NOW + DAY, "close_reason": "paid"} if state == "recovered" else {}
    Case.objects.filter(pk=case.pk).update(state=state, **ended)
    invoice = case.case_invoices.get().invoice
    paid(invoice, 4900, NOW + DAY)
    result = handovers_follow(now=NOW + 2 * DAY)
    assert (result.counted, result.ended) == (1, 1)
    assert Handover.objects.get().status == "ended"
    assert not Invoice.objects.filter(at_agency=True).exists()
    assert handovers_follow(now=NOW + 2 * DAY).ended == 0


def test_handing_over_costs_the_same_for_few_and_many(agency: Agency, boss: User) -> None:
    version = make.ladder()

    def queries(count: int) -> int:
        ids = [make.case(make.customer(), ladder_version=version).pk for _ in range(count)]
        with CaptureQueriesContext(connection) as found:
            did = cases_hand_over(case_ids=ids, agency_id=agency.pk, reason="", actor_id=boss.pk, now=NOW)
        assert all(one.done for one in did.values())
        return len(found)

    assert queries(2) == queries(30)


def test_only_what_was_agreed_leaves_the_house_and_that_it_did_is_logged(agency: Agency, boss: User) -> None:
    customer = make.customer(name="=Anna", email="anna@example.com", phone="+39 02 123", postal_address="Via Po 1")
    case = make.case(customer)
    for kind, direction, summary in (
        ("call.logged", "out", "Call: spoke"),
        ("note.added", "in", "Secret note"),
        ("case.paused", "internal", "Inner"),
    ):  # fmt: skip
        record(Entry(customer_id=customer.pk, at=NOW, kind=kind, direction=direction, channel="call", summary=summary))
    row = hand_over(case, agency, boss)

    def made(form: str) -> bytes:
        return package_make(handover_ids=[row.pk], form=form, actor_id=boss.pk, now=NOW).content

    text = made("csv").decode("utf-8-sig")
    [line] = csv.DictReader(io.StringIO(text))
    assert (line["customer"], line["e-mail"], line["owed now"]) == ("'=Anna", "anna@example.com", "49.00")
    shown = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(made("pdf"))).pages)
    assert "Call: spoke" in shown
    assert "Via Po 1" in shown
    assert "Secret note" not in shown
    assert "Inner" not in shown
    assert made("xlsx")[:2] == b"PK"
    Agency.objects.update(share_email=False, share_phone=False, share_address=False, share_log=False)
    text = made("csv").decode("utf-8-sig")
    pdf = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(made("pdf"))).pages)
    for secret in ("anna@example.com", "02 123", "Via Po 1", "Call: spoke"):
        assert secret not in text
        assert secret not in pdf
    logged = Interaction.objects.filter(kind="agency.exported").order_by("id")
    assert logged.count() == 5
    first, last = logged[0], logged[4]
    assert ("email" in first.data["fields"], "email" in last.data["fields"]) == (True, False)
    assert (len(first.data["sha256"]), last.actor) == (64, boss)
    row.refresh_from_db()
    assert row.exported_at == NOW


def test_from_the_case_to_the_agencys_account(agency: Agency, boss: User, client: Client) -> None:
    client.force_login(boss)
    case = make.case(make.customer(name="Łukasz Żółć"))
    url = reverse("admin:campaigns_case_do", args=[case.pk, "hand_over"])
    assert "Fair Collections" in client.get(url).content.decode()
    client.post(url, {"agency": agency.pk, "reason": "Ladder over"})
    row = Handover.objects.get()
    paid(case.case_invoices.get().invoice, 900, row.handed_at + DAY)
    handovers_follow(now=row.handed_at + DAY)
    page = client.get(reverse("admin:campaigns_handover_change", args=[row.pk])).content.decode()
    assert "€9.00" in page
    assert "€2.30" in page
    account = client.get(reverse("admin:campaigns_agency_change", args=[agency.pk])).content.decode()
    assert "18.4 %" in account
    package = reverse("admin:campaigns_agency_do", args=[agency.pk, "package"])
    answer = client.post(package, {"form": "csv"})
    assert "Łukasz Żółć" in answer.content.decode()
    assert "was in a package already" in client.post(package, {"form": "csv"}, follow=True).content.decode()
    assert client.get(reverse("admin:campaigns_agency_changelist")).status_code == 200
    assert client.get(reverse("admin:campaigns_handover_changelist")).status_code == 200
    client.post(reverse("admin:campaigns_handover_do", args=[row.pk, "recall"]), {"reason": "Enough"})
    assert Case.objects.get(pk=case.pk).state == "open"
    form = {"name": "New", "code": "new", "percent": "12.5", "tail_days": "0"}
    client.post(reverse("admin:campaigns_agency_add"), form)
    assert Agency.objects.get(code="new").commission_bps == 1250


def test_collectors_neither_hand_over_nor_export(agency: Agency, boss: User, client: Client) -> None:
    user = make.staff("collector", "maria")
    client.force_login(user)
    case = make.case(make.customer())
    row = hand_over(case, agency, boss)
    for name, pk, act in (
        ("handover", row.pk, "package"),
        ("handover", row.pk, "recall"),
        ("agency", agency.pk, "package"),
    ):
        url = reverse(f"admin:campaigns_{name}_do", args=[pk, act])
        assert client.post(url, {"form": "csv", "reason": "x"}).status_code == 403
    assert (
        client.post(reverse("admin:campaigns_case_do", args=[case.pk, "recall"]), {"reason": "x"}).status_code == 403
    )
