"""What the database itself refuses, whatever the code above it does."""

import pytest
from django.db import IntegrityError, connection, transaction

from tests import factories as make

pytestmark = pytest.mark.django_db


def test_two_attempts_of_one_invoice_cannot_be_in_flight() -> None:
    invoice = make.invoice(make.customer())
    make.attempt(invoice, status="in_flight")
    with pytest.raises(IntegrityError, match="attempt_one_in_flight_per_invoice"), transaction.atomic():
        make.attempt(invoice, status="unknown")


def test_an_invoice_cannot_be_paid_more_than_it_is() -> None:
    with pytest.raises(IntegrityError, match="invoice_balance_not_negative"):
        make.invoice(make.customer(), amount_due=100, amount_paid=101)


def test_balance_is_computed_by_the_database() -> None:
    invoice = make.invoice(make.customer(), amount_due=1000, amount_paid=300, amount_credited=200)
    invoice.refresh_from_db()
    assert invoice.balance == 500


def test_attempt_numbers_may_pass_each_other_within_a_transaction() -> None:
    invoice = make.invoice(make.customer())
    first, second = make.attempt(invoice), make.attempt(invoice)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE billing_paymentattempt SET number = 3 - number WHERE invoice_id = %s", [invoice.pk])
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.number, second.number) == (2, 1)
