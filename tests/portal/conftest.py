"""Fixtures of the portal's tests."""

from collections.abc import Callable
from typing import Any

import pytest

from customers.models import Customer
from portal import links
from tests.factories import NOW


@pytest.fixture(autouse=True)
def _at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("customers.clock._source", lambda: NOW)


@pytest.fixture
def link_of() -> Callable[..., links.IssuedLink]:
    """Mints a link for a customer."""

    def mint(customer: Customer, **options: Any) -> links.IssuedLink:
        return links.link_create(customer_id=customer.pk, brand_id=customer.brand_id, now=NOW, **options)

    return mint
