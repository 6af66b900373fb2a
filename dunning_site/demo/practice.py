"""The demo's practice case: a customer nobody minds, to try a first call, promise and dispute on."""

from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from billing.models import CollectionMethod, Invoice
from campaigns.engine.assess import assess_customers
from campaigns.models import Case, Task
from customers.models import Brand, Contact, Customer, CustomerKind
from customers.models.customer import PRACTICE
from customers.services import customers_reassess

#: By what it is found in lists.
TAG = "practice"
_OVERDUE = timedelta(days=9)


def practice_case(now: datetime) -> Case | None:
    """A company with one overdue invoice, its case on the ladder for such, and a call to make at `now` (aware UTC);
    None where no ladder is for it."""
    brand = Brand.objects.order_by("pk")[0]
    customer = Customer.objects.create(
        source=PRACTICE, external_id="practice", brand=brand, name="Esempio S.r.l. (practice)",
        email="practice@example.com", phone="+39 02 5550100", kind=CustomerKind.BUSINESS, country="IT", language="it",
        timezone="Europe/Rome", tags=[TAG],
    )  # fmt: skip
    Contact.objects.create(
        customer=customer, name="Chiara Esempio", email="practice@example.com", phone="+39 02 5550100", is_primary=True
    )
    Invoice.objects.create(
        customer=customer, brand=brand, source=PRACTICE, external_id="practice-1", number="PRACTICE-1",
        description="Nuvola Team", currency="EUR", amount_due=48_000, collection_method=CollectionMethod.MANUAL,
        issued_at=now - _OVERDUE - timedelta(days=30), due_at=now - _OVERDUE,
    )  # fmt: skip
    customers_reassess([customer.pk], now)
    assess_customers(now=now)
    case = Case.objects.filter(customer=customer).first()
    if case is not None:
        Task.objects.create(
            customer=customer, case=case, kind=Task.Kind.CALL, title=_("Practice: make your first call"),
            notes=_("Nobody is at the other end. Press “Log a call”, read the brief beside the form, say what came of "
                    "it and take a promise. Watch the ladder rest, and find it all in the log."),
            due_at=now, created_at=now,
        )  # fmt: skip
    return case
