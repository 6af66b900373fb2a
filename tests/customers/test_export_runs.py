"""Lists taken out: by whoever may, as filtered, logged, streamed or written by a worker."""

import csv
import io
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from customers import export_runs
from customers.admin import exports
from customers.admin.exports import open_list
from customers.export_lists import column_names, lists
from customers.export_runs import STALE, exports_run, exports_tidy
from customers.models import Customer, DataPiece, ExportRun
from tests import factories as make

pytestmark = pytest.mark.django_db
NOW = make.NOW


def url(model: str, query: str = "") -> str:
    return reverse(f"admin:{model.replace('.', '_')}_export") + query


def take(client: Client, model: str, query: str = "", **more: str) -> list[list[str]]:
    columns = column_names(next(m for m in lists() if m._meta.label_lower == model))
    answer = client.post(url(model, query), {"format": "csv", "columns": columns, **more})
    return list(csv.reader(io.StringIO(answer.getvalue().decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("model", sorted(m._meta.label_lower for m in lists()))
def test_every_list_with_columns_goes_out(model: str) -> None:
    rows = take(make.desk(make.staff("auditor")), model)
    assert rows[0] == column_names(next(m for m in lists() if m._meta.label_lower == model))
    run = ExportRun.objects.get()
    # The log of exports holds this one.
    rows_out = 1 if model == "customers.exportrun" else 0
    assert (run.model, run.status, run.rows, run.asked_by.username) == (model, "done", rows_out, "auditor")


def test_the_lists_people_work_with_have_columns() -> None:
    known = {model._meta.label_lower for model in lists()}
    assert known >= {
        "customers.customer", "customers.interaction", "billing.invoice", "billing.paymentattempt", "billing.promise",
        "billing.paymentplan", "billing.dispute", "campaigns.case", "campaigns.message", "campaigns.task",
        "campaigns.workitem",
    }  # fmt: skip
    assert all(model in admin.site._registry for model in lists())


def test_an_export_keeps_to_filters_search_and_ticked_rows_and_holds_no_formulas() -> None:
    evil = make.customer(name="=HYPERLINK(evil)", country="IT", external_id="c-1")
    make.customer(name="Łucja", country="PL", external_id="c-2")
    client = make.desk(make.staff("manager"))
    everyone = take(client, "customers.customer")
    assert len(everyone) == 3
    names = [row[everyone[0].index("name")] for row in everyone]
    assert "'=HYPERLINK(evil)" in names
    found = take(client, "customers.customer", "?country=PL")
    assert len(found) == 2
    assert take(client, "customers.customer", "?q=ucja")[1:] == found[1:]
    assert [row[1] for row in take(client, "customers.customer", f"?_ids={evil.pk}")[1:]] == ["c-1"]
    runs = list(ExportRun.objects.order_by("pk").values_list("query", "ids", "rows"))
    assert runs == [("", None, 2), ("country=PL", None, 1), ("q=ucja", None, 1), ("", [evil.pk], 1)]


def test_amounts_are_in_major_units() -> None:
    make.invoice(make.customer(), number="N-1", amount_due=4900, currency="EUR")
    rows = take(make.desk(make.staff("manager")), "billing.invoice")
    told = dict(zip(*rows, strict=True))
    assert (told["number"], told["amount"], told["balance"]) == ("N-1", "49.00", "49.00")


@pytest.mark.parametrize(
    ("role", "may"), [("collector", False), ("senior", False), ("auditor", True), ("manager", True)]
)
def test_only_who_may_take_data_out_does(role: str, may: bool) -> None:
    client = make.desk(make.staff(role))
    listed = client.get(reverse("admin:customers_customer_changelist")).content.decode()
    assert ("/export-list" in listed) == may
    assert client.get(url("customers.customer")).status_code == (200 if may else 403)
    assert client.post(url("customers.customer"), {"format": "csv", "columns": ["name"]}).status_code == (
        200 if may else 403
    )
    assert ExportRun.objects.exists() == may


def test_long_lists_are_written_by_a_worker_and_wait_for_whoever_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "DIRECT", 2)
    for number in range(5):
        make.customer(name=f"Customer {number}")
    client = make.desk(make.staff("manager"))
    answer = client.post(url("customers.customer"), {"format": "xlsx", "columns": ["name"]})
    run = ExportRun.objects.get()
    assert (answer.status_code, run.status) == (302, "queued")
    assert exports_run(now=NOW, open_list=open_list).done == 1
    run.refresh_from_db()
    assert (run.status, run.rows) == ("done", 5)
    assert "Download" in client.get(answer.url).content.decode()
    file = reverse("admin:customers_exportrun_file", args=[run.pk])
    assert client.get(file).getvalue().startswith(b"PK")
    other = make.desk(make.staff("auditor"))
    assert other.get(file).status_code == 403
    assert exports_tidy(now=run.created_at + timedelta(days=7)) == 1
    assert not DataPiece.objects.exists()
    assert client.get(file).status_code == 404


def test_a_dead_workers_export_is_written_anew_and_a_lost_permission_ends_it() -> None:
    client = make.desk(make.staff("manager"))
    user = User.objects.get()
    run = export_runs.export_start(model="customers.customer", query="", form="csv", actor_id=user.pk, now=NOW)
    ExportRun.objects.filter(pk=run.pk).update(status="running", claimed_at=NOW)
    assert exports_run(now=NOW, open_list=open_list).total == 0
    user.groups.clear()
    assert exports_run(now=NOW + STALE + timedelta(seconds=1), open_list=open_list).failed == 1
    run.refresh_from_db()
    assert "may not export" in run.error
    assert client is not None


def test_the_number_of_queries_does_not_grow_with_the_rows(django_assert_max_num_queries) -> None:
    brand = make.brand()
    client = make.desk(make.staff("manager"))
    for number in range(60):
        customer = Customer.objects.create(name=f"C {number}", brand=brand)
        make.invoice(customer, number=f"N-{number}")
    for model in ("billing.invoice", "customers.customer"):
        take(client, model)
        with django_assert_max_num_queries(20):
            assert len(take(client, model)) == 61
