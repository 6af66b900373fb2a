"""Accounts in the admin: what allows charges of a part is set there, within its bounds."""

from typing import Any

import pytest
from django.forms.models import model_to_dict
from django.urls import reverse

from billing.models import ProcessorAccount
from tests import factories

pytestmark = pytest.mark.django_db


def sent(account: ProcessorAccount, **changes: Any) -> dict[str, Any]:
    """What the account's page would post."""
    shown = {name: value for name, value in model_to_dict(account).items() if value is not None}
    return shown | changes


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"part_after": 3, "part_share": 40, "part_floor": 1500, "part_currency": "USD"}, True),
        ({"part_after": 3, "part_share": 100}, False),
        ({"part_after": 3, "part_share": 0}, False),
        ({"part_after": 3, "part_floor": 0}, False),
    ],
)
def test_parts_are_set_on_the_accounts_page(admin_client, changes, kept):
    account = factories.account()
    url = reverse("admin:billing_processoraccount_change", args=[account.pk])
    page = admin_client.get(url)
    assert all(f'name="{name}"'.encode() in page.content for name in changes)
    assert b"Only where your terms allow you to take a part." in page.content
    answer = admin_client.post(url, sent(account, **changes))
    account.refresh_from_db()
    assert (answer.status_code, account.part_after) == ((302, 3) if kept else (200, 0))
    if kept:
        assert {name: getattr(account, name) for name in changes} == changes
