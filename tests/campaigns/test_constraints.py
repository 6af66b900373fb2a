"""What the database itself refuses about cases and messages."""

import pytest
from django.db import IntegrityError

from tests import factories as make

pytestmark = pytest.mark.django_db


def test_a_customer_has_one_live_case_per_brand() -> None:
    customer = make.customer()
    make.case(customer)
    with pytest.raises(IntegrityError, match="case_one_live_per_customer_and_brand"):
        make.case(customer)


def test_an_ended_case_leaves_room_for_the_next() -> None:
    customer = make.customer()
    make.case(customer, state="recovered", closed_at=make.NOW, next_action_at=None)
    assert make.case(customer).pk


def test_an_ended_case_cannot_be_due() -> None:
    with pytest.raises(IntegrityError, match="case_ended_has_no_next_action"):
        make.case(make.customer(), state="lost", closed_at=make.NOW)
