"""Accounts in the admin: how long and how often charges are retried, and in parts, is set there, within bounds."""

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
        ({"retry_window_days": 90, "retry_max_attempts": 30}, True),
        ({"retry_max_attempts": 0}, True),
        ({"retry_window_days": 91}, False),
        ({"retry_window_days": 0}, False),
        ({"retry_max_attempts": 31}, False),
    ],
)
def test_retries_are_set_on_the_accounts_page(admin_client, changes, kept):
    account = factories.account()
    before = {name: getattr(account, name) for name in changes}
    url = reverse("admin:billing_processoraccount_change", args=[account.pk])
    page = admin_client.get(url)
    assert all(f'name="{name}"'.encode() in page.content for name in changes)
    assert b"Only where your terms allow you to take a part." in page.content
    answer = admin_client.post(url, sent(account, **changes))
    account.refresh_from_db()
    assert answer.status_code == (302 if kept else 200)
    assert {name: getattr(account, name) for name in changes} == (changes if kept else before)
