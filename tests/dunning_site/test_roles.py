"""Roles open exactly what their map says, on every list and form of the back office."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.test import Client, RequestFactory
from django.urls import reverse

from campaigns.models import LadderOverride
from dunning_site.roles import ROLES, roles_sync
from tests import factories as make
from tests.dunning_site.test_admin import MODELS, change, changelist, world


@pytest.fixture
def people(db: None) -> dict[str, User]:
    roles_sync()
    users = {}
    for name in ROLES:
        users[name] = make.staff(name)
    return users


@pytest.mark.parametrize("role", sorted(ROLES))
def test_every_role_sees_every_list_and_page(people: dict[str, User], role: str) -> None:
    world(1)
    client = make.desk(people[role])
    for model in MODELS:
        assert client.get(changelist(model)).status_code == 200, model
        row = model._default_manager.order_by("pk").first()
        assert client.get(f"{change(row)}?section=details").status_code == 200, model


@pytest.mark.parametrize("role", sorted(ROLES))
def test_adding_and_changing_is_allowed_as_the_map_says(people: dict[str, User], role: str) -> None:
    world(1)
    client, user = make.desk(people[role]), people[role]
    request = RequestFactory().get("/")
    request.user = user
    opened = set()
    for model in MODELS:
        opts = model._meta
        page: Any = admin.site._registry[model]
        may_add = f"{opts.app_label}.add_{opts.model_name}" in ROLES[role] and page.has_add_permission(request)
        url = reverse(f"admin:{opts.app_label}_{opts.model_name}_add")
        assert client.get(url).status_code == (200 if may_add else 403), (role, model)
        row = model._default_manager.order_by("pk").first()
        named = f"{opts.app_label}.change_{opts.model_name}" in ROLES[role]
        may_change = named and page.has_change_permission(request, row)
        posted = client.post(f"{change(row)}?section=details", {})
        assert posted.status_code == (200 if may_change else 403), (role, model)
        if may_add or may_change:
            opened.add(opts.model_name)
    # What the loop compared must not be empty by a slip, and an auditor changes nothing.
    managers = {
        "customer", "contact", "suppression", "ladder", "template", "printbatch", "segment", "experiment",
        "agency", "playbook", "importmapping", "importrun",
        "planpolicy", "policyoverride", "retrypolicy", "team",
    }  # fmt: skip
    assert (
        opened
        == {
            "auditor": set(),
            "collector": {"customer", "contact", "suppression", "printbatch"},
            "senior": {"customer", "contact", "suppression", "printbatch"},
            "manager": managers,
            "admin": managers | {"brand", "processoraccount", "approvallimit", "rolevisibility"},
        }[role]
    )


def test_an_auditor_may_do_nothing_on_any_page(people: dict[str, User]) -> None:
    world(1)
    client = make.desk(people["auditor"])
    tried = 0
    for model in MODELS:
        row = model._default_manager.order_by("pk").first()
        for action in getattr(admin.site._registry[model], "page_actions", ()):
            url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_do", args=[row.pk, action.slug])
            assert client.get(url).status_code == 403, url
            assert client.post(url, {}).status_code == 403, url
            tried += 1
    assert tried > 15


@pytest.mark.parametrize(("role", "status"), [("collector", 403), ("manager", 200)])
def test_only_managers_publish(people: dict[str, User], role: str, status: int) -> None:
    version = make.ladder()
    url = reverse("admin:campaigns_ladderversion_do", args=[version.pk, "publish"])
    assert make.desk(people[role]).get(url).status_code == status


@pytest.mark.parametrize(("role", "status"), [("auditor", 403), ("collector", 403), ("manager", 200)])
def test_only_managers_choose_a_customers_own_ladder(people: dict[str, User], role: str, status: int) -> None:
    customer, version = make.customer(), make.ladder(name="Gently")
    LadderOverride.objects.create(customer=customer, ladder=version.ladder, actor=people["manager"], at=make.NOW)
    client = make.desk(people[role])
    for slug in ("own-ladder", "own-ladder-clear"):
        url = reverse("admin:customers_customer_do", args=[customer.pk, slug])
        assert client.get(url).status_code == status
        assert client.post(url, {}).status_code == status
    read = client.get(f"{change(customer)}?tab=cases").content.decode()
    assert ("Gently" in read, "own-ladder" in read) == (True, status == 200)


def test_syncing_keeps_what_operators_added(db: None) -> None:
    roles_sync()
    group = Group.objects.get(name="auditor")
    before = group.permissions.count()
    group.permissions.add(Permission.objects.get(codename="change_user"))
    group.permissions.remove(Permission.objects.get(content_type__app_label="customers", codename="view_customer"))
    roles_sync()
    assert group.permissions.count() == before + 1


def test_strangers_are_sent_to_the_log_in(db: None, client: Client) -> None:
    response = client.get(reverse("admin:customers_customer_changelist"))
    assert response.status_code == 302
    assert "/admin/login/" in response["Location"]
