"""Every list of the back office goes out, or is named here on purpose; to whoever may take it, and as they see it."""

import csv
import io
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import translation
from openpyxl import load_workbook

from customers.admin import exports
from customers.admin.exports import open_list
from customers.clock import wall_clock
from customers.export_lists import column_names, column_titles, lists
from customers.export_runs import exports_run
from customers.models import Customer, DataFile, DataPiece, ExportRun
from customers.visibility import path_to_customer
from tests import factories as make

pytestmark = pytest.mark.django_db

#: Lists that are no data about customers: settings and texts with exports of their own, logs of machinery, and what
#: only the processor may hand out. A new list must either declare its columns or be added here on purpose.
NO_EXPORT = {
    "auth.group", "auth.user", "billing.approvallimit", "billing.importmapping", "billing.inboxevent",
    "billing.planpolicy", "billing.processoraccount", "billing.processorcommand", "billing.retrymodel",
    "billing.retrymodelevent", "billing.retrypolicy", "billing.riskmodel", "campaigns.agency", "campaigns.experiment",
    "campaigns.ladder", "campaigns.ladderversion", "campaigns.playbook", "campaigns.policyoverride",
    "campaigns.printbatch", "campaigns.segment", "campaigns.simulationrun", "campaigns.template",
    "campaigns.templateversion", "customers.brand", "customers.bulkjob", "customers.rolevisibility", "customers.team",
    "integrations.endpoint", "integrations.eventdelivery", "portal.portallink",
}  # fmt: skip
OURS = [m for m in admin.site._registry if m._meta.app_label not in ("djstripe", "django_celery_beat")]
LISTS = sorted(lists(), key=lambda model: model._meta.label_lower)
ABOUT_CUSTOMERS = [model for model in LISTS if path_to_customer(model) is not None]


def url(model: type[Model], query: str = "") -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_export") + query


def take(client: Client, model: type[Model], query: str = "", **more: str) -> list[list[str]]:
    answer = client.post(url(model, query), {"format": "csv", "columns": column_names(model), **more})
    assert answer.status_code == 200
    return list(csv.reader(io.StringIO(answer.getvalue().decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.label_lower)
def test_every_list_goes_out_or_is_left_in_on_purpose(model: type[Model]) -> None:
    assert (model in lists()) != (model._meta.label_lower in NO_EXPORT)


@pytest.mark.parametrize("model", LISTS, ids=lambda model: model._meta.label_lower)
def test_nobody_gets_a_list_they_may_not_see_or_take(model: type[Model]) -> None:
    for role in ("collector", "senior"):
        assert (
            make.desk(make.staff(role)).post(url(model), {"format": "csv", "columns": column_names(model)}).status_code
            == 403
        )
    assert Client().post(url(model)).status_code == 302
    assert not ExportRun.objects.exists()


SECRETS = ("key", "token", "secret", "password", "idempotency", "fingerprint", "payload", "hash", "signature")


@pytest.mark.parametrize("model", LISTS, ids=lambda model: model._meta.label_lower)
def test_headings_are_words_with_a_zone_or_names_and_never_secrets(model: type[Model]) -> None:
    assert not [name for name in column_names(model) if any(word in name.split("__")[-1] for word in SECRETS)]
    assert column_titles(model, words=False, naive=False) == column_names(model)
    titles = column_titles(model, words=True, naive=False)
    assert len(titles) == len(column_names(model))
    moments = [name for name in column_names(model) if name == "at" or name.endswith("_at")]
    assert sum(title.endswith("(UTC)") for title in titles) >= len(moments)


@pytest.mark.parametrize("model", ABOUT_CUSTOMERS, ids=lambda model: model._meta.label_lower)
def test_a_list_ends_where_sight_ends(model: type[Model], monkeypatch: pytest.MonkeyPatch) -> None:
    client = make.desk(make.staff("manager"))
    make.narrowed("manager")
    asked: list[Any] = []
    page = type(admin.site.get_model_admin(model))
    real = page.rows_seen
    monkeypatch.setattr(
        page, "rows_seen", lambda self, rows, user: asked.append((rows.model, user.username)) or real(self, rows, user)
    )
    take(client, model)
    assert (model, "manager") in asked


def test_headings_follow_the_readers_language() -> None:
    with translation.override("it"):
        assert "Nome" in column_titles(Customer, words=True, naive=False)


def test_a_narrow_manager_takes_out_their_own_customers_only() -> None:
    client = make.desk(make.staff("manager"))
    make.narrowed("manager")
    mine, other = make.customer(name="Mine"), make.customer(name="Other")
    make.case(mine, owner=User.objects.get())
    for customer in (mine, other):
        make.invoice(customer, number=f"of {customer.name}")
    from billing.models import Invoice

    assert [row[3] for row in take(client, Customer)[1:]] == ["Mine"]
    assert {row[2] for row in take(client, Invoice)[1:]} == {"Mine"}


def test_words_are_in_the_readers_language_and_formulas_harmless_in_both_formats() -> None:
    from billing.models import Invoice

    make.invoice(make.customer(name="=1+1"), number="+39 =cmd()", status="open")
    client = make.desk(make.staff("manager"))
    rows = take(client, Invoice, headings="words")
    told = dict(zip(rows[0], rows[1], strict=True))
    assert (told["Status"], told["In a payment plan"]) == ("Open", "no")
    assert told["Customer: name"] == "'=1+1"
    assert told["Number"] == "'+39 =cmd()"
    assert told["Due (UTC)"].endswith("+00:00")
    answer = client.post(url(Invoice), {"format": "xlsx", "columns": column_names(Invoice), "headings": "names"})
    sheet = load_workbook(io.BytesIO(answer.getvalue())).active
    cells = {head.value: cell for head, cell in zip(sheet[1], sheet[2], strict=True)}
    assert cells["customer__name"].value == "'=1+1"
    assert cells["customer__name"].data_type == "s"
    assert "due_at (UTC)" in cells


def test_a_long_list_shows_how_far_it_is_and_starts_afresh_after_a_death(monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        """A worker that is no more."""

    monkeypatch.setattr(exports, "DIRECT", 2)
    monkeypatch.setattr("customers.export_runs.BEAT", 10)
    for number in range(35):
        make.customer(name=f"Customer {number}")
    client = make.desk(make.staff("manager"))
    client.post(url(Customer), {"format": "csv", "columns": ["name"], "headings": "words"})
    seen: list[tuple[int, int]] = []

    def beating(dies: bool) -> Any:
        from customers import export_runs

        real = export_runs._beat

        def beat(run: ExportRun, rows: int) -> None:
            real(run, rows)
            seen.append(ExportRun.objects.values_list("rows", "expected").get(pk=run.pk))
            if dies and rows == 20:
                raise Killed

        return beat

    now = wall_clock()
    with monkeypatch.context() as patch:
        patch.setattr("customers.export_runs._beat", beating(dies=True))
        with pytest.raises(Killed):
            exports_run(now=now, open_list=open_list)
    run = ExportRun.objects.get()
    assert (run.status, run.rows, run.expected, seen) == ("running", 20, 35, [(10, 35), (20, 35)])
    file = reverse("admin:customers_exportrun_file", args=[run.pk])
    assert client.get(file).status_code == 404, "half a file"
    from customers.export_runs import STALE

    assert exports_run(now=now + STALE / 2, open_list=open_list).total == 0
    assert exports_run(now=wall_clock() + STALE * 2, open_list=open_list).done == 1
    assert DataFile.objects.count() == 1
    assert DataPiece.objects.count() == 1
    text = client.get(file).getvalue().decode("utf-8-sig")
    assert (text.splitlines()[0], text.count("\r\n")) == ("Name", 36)
