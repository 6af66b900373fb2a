"""Whoever sees only their own customers finds nothing of a stranger's, at no address of the back office.

The addresses are those of the role matrix, found from the resolver; the person asked has every permission there is, so
that nothing but sight stands between them and the rows.
"""

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import resolve, reverse

from billing.models import Invoice
from campaigns.models import Case, TemplateVersion
from customers.models import Contact, Customer, RoleVisibility, Sees
from customers.visibility import path_to_customer
from tests.dunning_site.test_role_matrix import PAGES, Address, addresses, answer, staff

__all__ = ["staff"]  # the fixture

STRANGER = "Zyxwvut Stranger"


@pytest.fixture
def narrow(staff: dict[str, User]) -> User:
    """Somebody with every permission, who sees their own customers, and has none."""
    everything = Group.objects.create(name="everything")
    everything.permissions.set(Permission.objects.all())
    RoleVisibility.objects.create(group=everything, sees=Sees.OWN)
    user = User.objects.create_user("narrow", is_staff=True)
    user.groups.add(everything)
    Case.objects.update(owner=staff["boss"])
    Customer.objects.update(name=STRANGER, email="zyxwvut@example.com")
    Contact.objects.update(name=STRANGER)
    return user


def owner_of(address: Address) -> tuple[Any, Any]:
    """The row an address is about and its customer's id; (None, None) for lists and for what is nobody's."""
    match = resolve(address.url.partition("?")[0])
    key = next((each for each in sorted(PAGES, key=len, reverse=True) if address.name.startswith(f"{each}_")), "")
    if key not in PAGES or not (match.args or match.kwargs):
        return None, None
    model = PAGES[key][0]
    path = path_to_customer(model)
    if path is None:
        return None, None
    row = model._default_manager.order_by("pk").first()
    if row is None:
        return None, None
    return row, row.pk if not path else model._default_manager.values_list(path, flat=True).get(pk=row.pk)


def test_no_address_about_a_strangers_row_is_there(staff: dict[str, User], narrow: User) -> None:
    wrong, asked = [], 0
    for address in addresses():
        _row, customer_id = owner_of(address)
        if customer_id is None:
            continue
        for method in ("GET", "POST"):
            asked += 1
            status = answer(address, narrow, method)
            # What no one may do (a list nobody adds to) may say so.
            if status != 404 and not (status == 403 and answer(address, staff["boss"], method) in (403, 404, 405)):
                wrong.append((method, address.name, status))
    assert wrong == []
    assert asked > 150


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
    client = Client()
    client.force_login(narrow)
    for model, action in ((Case, "cases_pause"), (Customer, "customers_tag"), (Invoice, "invoices_write_off")):
        rows = [str(pk) for pk in model._default_manager.values_list("pk", flat=True)]
        url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        page = client.post(url, {"action": action, "_selected_action": rows, "index": "0"}, follow=True)
        assert "No row was chosen." in page.content.decode(), action
