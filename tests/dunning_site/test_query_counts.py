"""Every list and every page of the back office asks the database as often with one row of everything as with many.

Every page of the admin is measured for being registered: whoever adds one needs add nothing here, unless `world` has
no rows of it, which is told.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule
from djstripe.models import Customer as MirroredCustomer

from billing.models import Invoice
from campaigns.models import Case, Message, WorkItem
from campaigns.worklist.refresh import work_refresh
from customers.bulk.jobs import job_draft
from customers.clock import running_on
from customers.models import Contact, Customer
from integrations.models import Endpoint, EventDelivery
from tests import factories as make
from tests.dunning_site.test_admin import world
from tests.factories import NOW

MANY = 8
#: More than this no page may ask, however constantly.
MOST = 90
#: The mirror's ninety tables are one class of pages: one of them stands for all.
MODELS = sorted(
    (m for m in admin.site._registry if m._meta.app_label != "djstripe" or m is MirroredCustomer),
    key=lambda model: model._meta.label_lower,
)
#: Pages of no model's own, and lists as they are narrowed → address; `{customer}` and `{job}` are filled in.
OTHERS = {
    "dashboard": "/admin/",
    "sidebar search": "/admin/search/?s=customer",
    "worklist, mine": "/admin/campaigns/workitem/?tab=mine",
    "worklist, team": "/admin/campaigns/workitem/?tab=team",
    "worklist, unassigned": "/admin/campaigns/workitem/?tab=free",
    "worklist, resting": "/admin/campaigns/workitem/?tab=team&show=later",
    "worklist, narrowed": "/admin/campaigns/workitem/?tab=team&country=DE&band=1&reach=1",
    "worklist, search": "/admin/campaigns/workitem/?tab=team&q=customer",
    "one by one": "/admin/campaigns/workitem/{customer}/change/",
    "give out": "/admin/campaigns/workitem/give/?tab=team",
    "customers, search": "/admin/customers/customer/?q=customer",
    "customers, filtered": "/admin/customers/customer/?kind__exact=business",
    "invoices, search": "/admin/billing/invoice/?q=customer",
    "log, search": "/admin/customers/interaction/?q=customer",
    "look-up": "/admin/autocomplete/?app_label=customers&model_name=contact&field_name=customer&term=customer",
    "call form": "/admin/customers/customer/{customer}/do/call/",
    "promise form": "/admin/customers/customer/{customer}/do/promise/",
    "merge form": "/admin/customers/customer/{customer}/do/merge/",
    "timeline, narrowed": "/admin/customers/customer/{customer}/change/?tab=timeline&kind=money&find=declined",
    "duplicates": "/admin/customers/customer/duplicates/",
    "export": "/admin/customers/customer/export/",
    "bulk act, confirm": "/admin/customers/bulkjob/{job}/confirm/",
    "bulk act, rows": "/admin/customers/bulkjob/{job}/change/?tab=rows",
}


def filled(n: int) -> Customer:
    """`world`, and rows of what libraries and the outside have pages for; a customer with `n` of everything."""
    one = world(n)
    for i in range(n):
        User.objects.create_user(f"person{i}", is_staff=True).groups.add(Group.objects.create(name=f"role{i}"))
        every = IntervalSchedule.objects.create(every=100 + i, period="seconds")
        PeriodicTask.objects.create(name=f"Task {i}", task="x", interval=every)
        CrontabSchedule.objects.create(minute=str(i))
        ClockedSchedule.objects.create(clocked_time=NOW + timedelta(hours=i))
        SolarSchedule.objects.create(event="sunrise", latitude=i, longitude=i)
        endpoint = Endpoint.objects.create(name=f"Ours {i}", url="https://example.com/e", events=["case.opened"])
        EventDelivery.objects.create(
            endpoint=endpoint, event_id=f"e{i}", kind="case.opened", payload={}, created_at=NOW
        )
        MirroredCustomer.objects.create(id=f"cus_{i}", livemode=False)
        make.account(code=f"account{i}")
        make.ladder()
        make.contact(make.customer())
        make.template(f"template{i}")
        make.brand(code=f"brand{i}")
    work_refresh(now=NOW, only=list(Customer.objects.values_list("pk", flat=True)))
    return one


def queries(client: Client, url: str) -> int:
    with CaptureQueriesContext(connection) as found:
        response = client.get(url)
        assert response.status_code == 200, url
    return len(found)


def shown(model: Any, one: Customer) -> Any:
    """The row whose page is measured: the customer's own where they have one."""
    if model in (Customer, WorkItem):
        return model.objects.get(pk=one.pk)
    rows = model._default_manager.order_by("pk")
    return (rows.filter(customer=one) if model in (Case, Message, Contact, Invoice) else rows).first()


def measured(n: int) -> dict[str, int]:
    """The queries of every page by its name, in a world of `n`; what was made for it is taken back."""
    client, costs = Client(), {}
    with transaction.atomic(), running_on(lambda: NOW):
        one = filled(n)
        boss = User.objects.create_superuser("boss")
        client.force_login(boss)
        # What is read once a process and kept.
        ContentType.objects.get_for_models(*MODELS)
        client.get(reverse("admin:index"))
        few = {model._meta.label for model in MODELS if model._default_manager.count() < n}
        assert few == set(), f"`filled` makes too few rows of {few}"
        for model in MODELS:
            opts, page = model._meta, admin.site._registry[model]
            names = f"admin:{opts.app_label}_{opts.model_name}"
            costs[opts.label_lower] = queries(client, reverse(f"{names}_changelist"))
            url = reverse(f"{names}_change", args=[shown(model, one).pk])
            for tab in ("details", *(section.slug for section in getattr(page, "page_sections", []))):
                costs[f"{opts.label_lower} {tab}"] = queries(client, f"{url}?tab={tab}")
        cases = list(Case.objects.values_list("pk", flat=True))
        job = job_draft(act="cases.pause", targets=cases, selection="x", actor_id=boss.pk, now=NOW)
        for name, url in OTHERS.items():
            costs[name] = queries(client, url.format(customer=one.pk, job=job.pk))
        transaction.set_rollback(True)
    return costs


@pytest.fixture(scope="module")
def costs(django_db_setup: None, django_db_blocker: Any) -> Iterator[tuple[dict[str, int], dict[str, int]]]:
    """Of every page with one row of everything, and with many."""
    with django_db_blocker.unblock():
        yield measured(1), measured(MANY)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label_lower)
def test_lists_and_pages_cost_the_same_with_one_row_and_with_many(
    costs: tuple[dict[str, int], dict[str, int]], model: Any
) -> None:
    one, many = costs
    mine = [name for name in one if name.partition(" ")[0] == model._meta.label_lower]
    assert len(mine) >= 2
    # What a process reads once makes the first world's pages dearer, never the second's.
    assert {name: (one[name], many[name]) for name in mine if many[name] > one[name]} == {}
    assert max(many[name] for name in mine) <= MOST


@pytest.mark.parametrize("name", OTHERS)
def test_pages_of_no_model_cost_the_same(costs: tuple[dict[str, int], dict[str, int]], name: str) -> None:
    one, many = costs
    assert many[name] <= one[name]
    assert many[name] <= MOST
