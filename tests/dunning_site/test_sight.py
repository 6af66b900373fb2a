"""Whoever sees only their own customers finds nothing of a stranger's, at no address of the back office.

The addresses are those of the role matrix, found from the resolver; the person asked has every permission there is, so
that nothing but sight stands between them and the rows.
"""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.files.base import ContentFile
from django.test import Client
from django.urls import resolve, reverse
from djstripe.models import Customer as MirrorCustomer

from billing.models import Invoice, Promise
from campaigns.admin.cases import CaseAdmin
from campaigns.admin.letters import PrintBatchAdmin
from campaigns.models import (
    Case,
    InboundAttachment,
    InboundMessage,
    LadderVersion,
    Letter,
    Message,
    MessageStatus,
    PrintBatch,
    SimulationRun,
    Step,
    TemplateVersion,
)
from customers.models import (
    Attachment,
    BulkJob,
    Contact,
    Customer,
    DataFile,
    DataPiece,
    ExportRun,
    RoleVisibility,
    Sees,
    Suppression,
)
from customers.visibility import path_to_customer
from tests import factories as make
from tests.dunning_site.test_role_matrix import PAGES, Address, addresses, answer, staff
from tests.factories import NOW

__all__ = ["staff"]  # the fixture

STRANGER = "Zyxwvut Stranger"


@pytest.fixture
def narrow(staff: dict[str, User]) -> User:
    """Somebody with every permission, who sees their own customers, and has none; the mirror has a row."""
    MirrorCustomer.objects.create(id="cus_zyx", livemode=False, stripe_data={"name": STRANGER})
    everything = Group.objects.create(name="everything")
    everything.permissions.set(Permission.objects.all())
    RoleVisibility.objects.create(group=everything, sees=Sees.OWN)
    user = User.objects.create_user("narrow", is_staff=True)
    user.groups.add(everything)
    Case.objects.update(owner=staff["boss"])
    Customer.objects.update(name=STRANGER, email="zyxwvut@example.com")
    Contact.objects.update(name=STRANGER)
    return user


#: Pages whose rows belong to no single customer and tell of many, or of those nobody can name: whoever sees only some
#: customers sees what they asked for themselves. A new model without a customer is put here or below.
TELLING = {
    "customers_bulkjob", "customers_exportrun", "customers_suppression", "billing_importrun", "billing_inboxevent",
    "campaigns_printbatch", "integrations_eventdelivery",
}  # fmt: skip
#: Rules, texts, figures and staff: they name nobody, and what a page of theirs says of customers is narrowed there.
NAMELESS = {
    "customers_brand", "customers_team", "customers_rolevisibility", "billing_approvallimit", "billing_importmapping",
    "billing_planpolicy", "billing_retrymodel", "billing_retrymodelevent", "billing_retrypolicy", "billing_riskmodel",
    "billing_processoraccount", "campaigns_agency", "campaigns_segment", "campaigns_experiment",
    "campaigns_ladderversion", "campaigns_ladder", "campaigns_playbook", "campaigns_policyoverride",
    "campaigns_template", "campaigns_templateversion", "integrations_endpoint", "auth_user", "auth_group",
    "django_celery_beat_periodictask", "django_celery_beat_intervalschedule", "django_celery_beat_crontabschedule",
    "django_celery_beat_solarschedule", "django_celery_beat_clockedschedule",
}  # fmt: skip


def page_of(address: Address) -> str:
    """The key of the page an address belongs to; empty for the site's own."""
    return next((each for each in sorted(PAGES, key=len, reverse=True) if address.name.startswith(f"{each}_")), "")


def is_about_strangers(address: Address) -> bool:
    """Whether an address is about a row of a customer, or about one that tells of many."""
    match = resolve(address.url.partition("?")[0])
    key = page_of(address)
    if not key or not (match.args or match.kwargs):
        return False
    model = PAGES[key][0]
    if not model._default_manager.exists():
        return False
    path = path_to_customer(model)
    return key in TELLING or key.startswith("djstripe_") or path is not None


def opened(found: list[Address], staff: dict[str, User], narrow: User) -> tuple[list[Any], int]:
    """The addresses about strangers that do not answer 404, and how many were asked."""
    wrong, asked = [], 0
    for address in found:
        if not is_about_strangers(address):
            continue
        for method in ("GET", "POST"):
            asked += 1
            status = answer(address, narrow, method)
            # What no one may do (a list nobody adds to) may say so.
            if status != 404 and not (status == 403 and answer(address, staff["boss"], method) in (403, 404, 405)):
                wrong.append((method, address.name, status))
    return wrong, asked


def test_no_address_about_a_strangers_row_is_there(staff: dict[str, User], narrow: User) -> None:
    wrong, asked = opened(addresses(), staff, narrow)
    assert wrong == []
    assert asked > 200


@pytest.mark.parametrize(
    ("page", "gap"),
    [
        (CaseAdmin, {"get_queryset": lambda self, request: Case.objects.all()}),
        (PrintBatchAdmin, {"tells_of_many": None}),
    ],
)
def test_a_page_whose_narrowing_is_taken_away_is_found(
    page: Any, gap: dict[str, Any], staff: dict[str, User], narrow: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = next(key for key, (_model, registered) in PAGES.items() if isinstance(registered, page))
    own = [address for address in addresses() if page_of(address) == key]
    assert opened(own, staff, narrow)[0] == []
    for name, value in gap.items():
        monkeypatch.setattr(page, name, value)
    wrong, asked = opened(own, staff, narrow)
    # Some acts do not fit the row there is, and say so to everybody.
    assert len(wrong) > asked / 2
    assert ("GET", f"{key}_change", 200) in wrong


def test_every_page_without_a_customer_is_known_for_what_it_tells() -> None:
    pathless = {key for key, (model, _page) in PAGES.items() if path_to_customer(model) is None}
    assert {key for key in pathless if not key.startswith("djstripe_")} == TELLING | NAMELESS
    mirror = [page for key, (_model, page) in PAGES.items() if key.startswith("djstripe_")]
    assert len(mirror) > 30
    assert all(page.tells_of_many == "" for page in mirror)


def test_files_of_strangers_are_handed_to_nobody_else(staff: dict[str, User], narrow: User) -> None:
    """Those the matrix has no row of: a list a worker wrote, an attachment of an answer."""
    kept = DataFile.objects.create(name="customers.csv", size=len(STRANGER), sha256="", created_at=NOW)
    DataPiece.objects.create(file=kept, number=0, data=STRANGER.encode())
    export = ExportRun.objects.earliest("pk")
    ExportRun.objects.filter(pk=export.pk).update(status="done", file=kept)
    inbound = InboundMessage.objects.earliest("pk")
    attached = InboundAttachment.objects.create(
        inbound=inbound,
        name="proof.txt",
        content_type="text/plain",
        size=1,
        sha256="ab12",
        file=ContentFile(b"x", "proof.txt"),
    )
    signed = Attachment.objects.earliest("pk")
    for url in (
        reverse("admin:customers_exportrun_file", args=[export.pk]),
        reverse("admin:campaigns_inboundmessage_attachment", args=[attached.pk]),
        reverse("admin:customers_customer_file", args=[signed.customer_id, signed.pk]),
    ):
        address = Address("", url, "", "")
        for method in ("GET", "POST"):
            assert answer(address, narrow, method) == 404, url
        assert answer(address, staff["boss"], "GET") == 200, url


def test_what_somebody_asked_for_themselves_stays_theirs(narrow: User) -> None:
    batch = PrintBatch.objects.create(created_at=NOW, created_by=narrow)
    client = make.desk(narrow)
    assert client.get(reverse("admin:campaigns_printbatch_change", args=[batch.pk])).status_code == 200
    mine = Suppression.objects.create(channel="email", address="mine@example.com", reason="manual", created_at=NOW)
    url = reverse("admin:customers_suppression_change", args=[mine.pk])
    assert client.get(url).status_code == 404
    own = make.customer(email="Mine@example.com")
    make.case(own, owner=narrow)
    assert client.get(url).status_code == 200


def test_forms_take_no_strangers(staff: dict[str, User], narrow: User) -> None:
    """Addresses that are nobody's, with a form in which a stranger is named by id."""
    stranger = Customer.objects.filter(contacts=None).earliest("pk")
    case = Case.objects.filter(state="open").earliest("pk")
    version = case.ladder_version
    LadderVersion.objects.filter(pk=version.pk).update(status="retired")
    newer = LadderVersion.objects.create(ladder=version.ladder, number=99, status="published", published_at=NOW)
    Step.objects.create(version=newer, position=1, key="step-1", name="x", action="notify_staff", offset=0)
    lost = InboundMessage.objects.create(
        channel="email", external_id="lost", kind="human", received_at=NOW, sender="x@example.com"
    )
    Message.objects.update(status=MessageStatus.TO_PRINT, channel="letter")
    Letter.objects.create(message=Message.objects.earliest("pk"), pdf=b"%PDF", pages=1, created_at=NOW)
    forms: list[tuple[str, dict[str, Any], Callable[[], Any]]] = [
        (
            reverse("admin:customers_contact_add"),
            {"customer": stranger.pk, "name": "Planted", "active": "on"},
            Contact.objects.filter(name="Planted").exists,
        ),
        (
            reverse("admin:campaigns_ladderversion_do", args=[newer.pk, "move"]),
            {"segment": "", "cases": str(case.pk), "reason": "x"},
            BulkJob.objects.filter(act="cases.move").exists,
        ),
        (
            reverse("admin:campaigns_ladderversion_do", args=[newer.pk, "simulate"]),
            {"version": newer.pk, "source": "customer", "customer": stranger.pk, "cases": 9, "days": 9},
            SimulationRun.objects.filter(version=newer).exists,
        ),
        (
            reverse("admin:campaigns_ladderversion_do", args=[newer.pk, "simulate"]),
            {"version": newer.pk, "source": "open_cases", "cases": 9, "days": 9},
            SimulationRun.objects.filter(version=newer).exists,
        ),
        (
            reverse("admin:campaigns_inboundmessage_do", args=[lost.pk, "assign"]),
            {"customer_id": stranger.pk},
            InboundMessage.objects.filter(pk=lost.pk).exclude(customer=None).exists,
        ),
        (
            reverse("admin:campaigns_printbatch_add"),
            {},
            lambda: Letter.objects.exclude(batch=None).exists() or Message.objects.filter(status="cancelled").exists(),
        ),
    ]
    client, wide = Client(), Client()
    client.force_login(narrow)
    wide.force_login(staff["boss"])
    for url, data, happened in forms:
        assert STRANGER not in client.get(url, data).content.decode(), url
        words = client.post(url, data, follow=True).content.decode()
        assert not happened(), url
        assert STRANGER not in words, url
        wide.post(url, data)
        assert happened(), url  # the control: who sees everybody gets it done
        SimulationRun.objects.filter(version=newer).delete()


def test_no_list_search_look_up_or_export_tells_of_a_stranger(narrow: User) -> None:
    client, told = Client(), []
    client.force_login(narrow)
    wide = Client()
    wide.force_login(User.objects.get(username="boss"))
    shown_to_all = 0
    for key, (model, page) in PAGES.items():
        if path_to_customer(model) is None:
            continue
        pages = [reverse(f"admin:{key}_changelist"), reverse(f"admin:{key}_changelist") + "?q=Zyxwvut"]
        if page.search_fields or getattr(page, "search_trigram", ()):
            pages.append(reverse("admin:search") + "?s=Zyxwvut")
        for url in pages:
            words = client.get(url, follow=True).content.decode()
            # What was searched for stands in the field.
            if STRANGER in words or "zyxwvut@example.com" in words:
                told.append(url)
            shown_to_all += STRANGER in wide.get(url, follow=True).content.decode()
    for model in ("contact", "interaction"):
        found = client.get(
            reverse("admin:autocomplete"),
            {"app_label": "customers", "model_name": model, "field_name": "customer", "term": "Zyxwvut"},
        )
        assert found.json()["results"] == [], model
    assert told == []
    assert shown_to_all > 20  # the control: who sees everybody is told


@pytest.mark.parametrize("place", ["preview", "playbook", "merge", "evidence", "file"])
def test_ids_in_an_addresss_query_open_nothing(place: str, staff: dict[str, User], narrow: User) -> None:
    customer, case = Customer.objects.earliest("pk"), Case.objects.earliest("pk")
    version = TemplateVersion.objects.earliest("pk")
    url = {
        "preview": reverse("admin:campaigns_templateversion_change", args=[version.pk]) + f"?case={case.pk}",
        "playbook": reverse("admin:campaigns_playbook_changelist") + f"?case={case.pk}",
        "merge": reverse("admin:customers_customer_duplicates"),
        "evidence": reverse("admin:customers_customer_change", args=[customer.pk]) + "?section=log&export=pdf",
        "file": reverse("admin:customers_customer_file", args=[customer.pk, 1]),
    }[place]
    client = Client(raise_request_exception=False)
    client.force_login(narrow)
    answered = client.get(url)
    words = b"".join(answered.streaming_content) if answered.streaming else answered.content
    assert answered.status_code in (200, 302, 404)
    assert STRANGER.encode() not in words
    if place in ("evidence", "file"):
        assert answered.status_code == 404


def test_rows_named_in_a_bulk_act_are_passed_by(narrow: User) -> None:
    client = make.desk(narrow)
    acts = (
        (Case, "cases_pause"), (Customer, "customers_tag"), (Invoice, "invoices_write_off"),
        (Promise, "promises_cancel"),
    )  # fmt: skip
    for model, action in acts:
        rows = [str(pk) for pk in model._default_manager.values_list("pk", flat=True)]
        url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        page = client.post(url, {"action": action, "_selected_action": rows, "index": "0"}, follow=True)
        assert "No row was chosen." in page.content.decode(), action
