"""Receivables from a file: what was overdue on the day is reminded of by mail, once; counted from the file itself."""

import csv
import json
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command

from billing.models import Invoice, Payment
from campaigns.models import Case, Message
from campaigns.services.shipped import shipped_load
from customers import clock
from customers.models import Customer, Interaction
from dunning_site.demo import loops
from tests import factories
from tests.scenarios.life import link_in, mails, text_of

pytestmark = pytest.mark.django_db
FILE = Path(__file__).parents[1] / "data" / "ibm-accounts-receivable.csv"
#: The Friday on which most customers of the file are late, and the morning after its week-end.
AS_OF = date(2012, 3, 16)
FRIDAY = datetime(2012, 3, 16, 9, 30, tzinfo=UTC)
MONDAY = datetime(2012, 3, 19, 9, 30, tzinfo=UTC)
#: The ladder's first step comes three days after the due day has ended.
FIRST_STEP = timedelta(days=3)


def day(text):
    return datetime.strptime(text, "%m/%d/%Y").replace(tzinfo=UTC).date()


def import_file():
    out = StringIO()
    call_command(
        "import_invoices", FILE, preset="ibm", as_of=AS_OF, brand="acme", email_domain="example.com",
        json=True, stdout=out,
    )  # fmt: skip
    return json.loads(out.getvalue())


def rows_of(*models):
    return {model: list(model.objects.order_by("pk").values()) for model in models}


def late_ones():
    """Customer → the oldest due day they missed, as the file has it, contested invoices left aside."""
    with FILE.open() as text:
        rows = list(csv.DictReader(text))
    late = {}
    for row in rows:
        missed = day(row["InvoiceDate"]) <= AS_OF < day(row["SettledDate"]) and day(row["DueDate"]) < AS_OF
        if missed and row["Disputed"] == "No":
            late[row["customerID"]] = min(day(row["DueDate"]), late.get(row["customerID"], AS_OF))
    return rows, late


def cases_open():
    return set(Case.objects.filter(state="open").values_list("customer__external_id", flat=True))


def reached(sink):
    return sorted(mail.recipients[0] for mail in sink.mails())


def address(customer):
    return f"{customer.lower()}@example.com"


def test_the_file_is_imported_once_and_whoever_is_late_is_reminded_once(smtp_sink):
    factories.brand(timezone="Europe/Rome")
    shipped_load(now=FRIDAY)
    rows, late = late_ones()
    assert (len(rows), len(late)) == (2466, 12)

    with clock.running_on(lambda: FRIDAY):
        first = import_file()
        assert (first["rows"], first["created"], first["errors"]) == (2466, 2466, [])
        assert first["customers_created"] == len({row["customerID"] for row in rows}) == 100
        before = rows_of(Invoice, Payment, Customer, Interaction)
        again = import_file()
        assert (again["created"], again["updated"], again["unchanged"]) == (0, 0, 2466)
        assert rows_of(Invoice, Payment, Customer, Interaction) == before
        for _again in range(2):
            loops.turn()
    assert cases_open() == set(late)
    early = [customer for customer, due in late.items() if due + FIRST_STEP < AS_OF]
    assert reached(smtp_sink) == sorted(map(address, early))
    assert early
    assert len(early) < len(late)

    with clock.running_on(lambda: MONDAY):
        for _again in range(2):
            loops.turn()
    # By Monday the others' three days have passed, and for the oldest debt the second step has come as well.
    first_step = Message.objects.filter(template_version__template__code="invoice_overdue_1", status="sent")
    assert sorted(first_step.values_list("recipient", flat=True)) == sorted(map(address, late))
    assert reached(smtp_sink) == sorted(Message.objects.values_list("recipient", flat=True))


def test_the_first_mail_names_what_is_late_and_leads_to_it(client, smtp_sink):
    factories.brand(timezone="Europe/Rome")
    shipped_load(now=FRIDAY)
    with clock.running_on(lambda: FRIDAY):
        import_file()
        loops.turn()
        (first, *_others) = mails(smtp_sink)
        customer = Customer.objects.get(email=first["To"].addresses[0].addr_spec)
        late = Invoice.objects.filter(customer=customer, status="open", disputed_at=None, due_at__lt=FRIDAY)
        page = client.get(urlsplit(link_in(first)).path)
    assert late
    for invoice in late:
        amount = f"{invoice.balance / 100:,.2f}"
        for where in (text_of(first), text_of(first, "html"), page.content.decode()):
            assert invoice.number in where
            assert amount in where
