"""The bank behind a method: one opaque word from what Stripe really tells, nothing where it tells nothing."""

import pytest

from billing.ingest.facts.banks import issuer_of
from billing.models import PaymentMethod


@pytest.mark.parametrize(
    ("kind", "details", "bank"),
    [
        ("card", {"brand": "visa", "country": "IT", "last4": "0008"}, ""),
        ("card", {"country": "IT", "issuer": None, "iin": None}, ""),
        ("card", {"country": "IT", "issuer": "Banca  Uno", "iin": "40000038"}, "it:banca uno"),
        ("card", {"country": "IT", "iin": "40000038"}, "it:400000"),
        ("sepa_debit", {"country": "DE", "bank_code": "37040044", "branch_code": ""}, "de:37040044"),
        ("us_bank_account", {"bank_name": "STRIPE TEST BANK", "routing_number": "110000000"}, "stripe test bank"),
        ("us_bank_account", {"bank_name": None, "routing_number": "110000000"}, "110000000"),
        ("bacs_debit", {"sort_code": "10-88-00"}, "10-88-00"),
        ("link", {"email": "ann@example.com"}, ""),
        ("card", {"issuer": "x" * 200}, "x" * 80),
    ],
)
def test_a_bank_is_what_the_processor_tells(kind: str, details: dict[str, str | None], bank: str) -> None:
    assert issuer_of(kind, details) == bank


def test_the_bank_comes_with_the_method(sandbox, deliver):
    customer, _silent = sandbox.customer()
    told = sandbox.client.payment_methods.create(
        {
            "type": "card",
            "card": {"number": "4000003800000008", "exp_month": 12, "exp_year": 2034},
            "metadata": {"issuer_bank": "Banca Uno"},
        }
    )
    sandbox.client.payment_methods.attach(told.id, {"customer": customer.id})
    deliver(sandbox.events())
    assert sorted(PaymentMethod.objects.values_list("last4", "issuer")) == [("0008", "it:banca uno"), ("4242", "")]
