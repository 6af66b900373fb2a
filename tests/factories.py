"""Makes rows for tests: plain functions, sensible defaults, anything overridable by keyword."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import Group, User
from django.test import Client

from billing.models import (
    AttemptOrigin,
    AttemptStatus,
    Fee,
    Invoice,
    InvoiceStatus,
    PaymentAttempt,
    PaymentMethod,
    ProcessorAccount,
    Subscription,
    SubscriptionStatus,
)
from campaigns.models import (
    Action,
    Case,
    CaseInvoice,
    Experiment,
    ExperimentArm,
    Ladder,
    LadderVersion,
    Message,
    Step,
    Template,
    TemplateText,
    TemplateVersion,
    Trigger,
    VersionStatus,
)
from campaigns.services.versions import VERSION_FIELDS
from customers.models import Brand, Contact, Customer, RoleVisibility, Sees

_serial = itertools.count(1)

#: A Tuesday noon, far from month ends and clock changes.
NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def staff(role: str, name: str = "") -> User:
    """Somebody with a role, called like it unless told otherwise. Their password is "a-long-password"."""
    name = name or role
    user = User.objects.create_user(name, f"{name}@example.com", "a-long-password", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    return user


def narrowed(role: str, sees: Sees = Sees.OWN) -> RoleVisibility:
    """From now on people of this role see some of the customers only."""
    return RoleVisibility.objects.create(group=Group.objects.get(name=role), sees=sees)


def afresh(user: User) -> User:
    """Somebody as another request finds them: what they see and may do is read once for each."""
    return User.objects.get(pk=user.pk)


def desk(user: User) -> Client:
    """The browser of somebody who is logged in."""
    client = Client()
    client.force_login(user)
    return client


def brand(**fields: Any) -> Brand:
    defaults = {
        "name": "Acme Cloud",
        "from_email": "billing@acme.example",
        "from_name": "Acme Billing",
        "support_email": "help@acme.example",
        "postal_address": "Via Roma 1, 20121 Milano",
    }
    code = fields.pop("code", "acme")
    return Brand.objects.get_or_create(code=code, defaults=defaults | fields)[0]


def account(**fields: Any) -> ProcessorAccount:
    values = {"name": "Stripe", "brand": fields.pop("brand", None) or brand()} | fields
    code = values.pop("code", "stripe")
    return ProcessorAccount.objects.get_or_create(code=code, defaults=values)[0]


def customer(**fields: Any) -> Customer:
    n = next(_serial)
    values = {
        "source": "stripe",
        "external_id": f"cus_{n}",
        "name": f"Customer {n}",
        "email": f"customer{n}@example.com",
        "country": "IT",
        "language": "en",
        "timezone": "Europe/Rome",
    } | fields
    if "brand" not in values:
        values["brand"] = brand()
    return Customer.objects.create(**values)


def contact(customer: Customer, **fields: Any) -> Contact:
    values = {"name": customer.name, "email": customer.email, "is_primary": True} | fields
    return Contact.objects.create(customer=customer, **values)


def payment_method(customer: Customer, **fields: Any) -> PaymentMethod:
    n = next(_serial)
    values = {
        "source": "stripe",
        "external_id": f"pm_{n}",
        "brand": "visa",
        "funding": "credit",
        "last4": "4242",
        "exp_month": 12,
        "exp_year": 2030,
        "fingerprint": f"fp{n}",
        "is_default": True,
        "attached_at": NOW - timedelta(days=90),
    } | fields
    return PaymentMethod.objects.create(customer=customer, **values)


def subscription(customer: Customer, **fields: Any) -> Subscription:
    n = next(_serial)
    values = {
        "source": "stripe",
        "external_id": f"sub_{n}",
        "status": SubscriptionStatus.ACTIVE,
        "plan_name": "Team",
        "amount": 4900,
        "currency": "EUR",
        "interval": "month",
        "started_at": NOW - timedelta(days=90),
    } | fields
    return Subscription.objects.create(customer=customer, **values)


def invoice(customer: Customer, **fields: Any) -> Invoice:
    """An open invoice whose charge failed an hour before NOW, unless told otherwise."""
    n = next(_serial)
    values = {
        "source": "stripe",
        "external_id": f"in_{n}",
        "number": f"ACME-{n:04d}",
        "brand": customer.brand,
        "currency": "EUR",
        "amount_due": 4900,
        "status": InvoiceStatus.OPEN,
        "issued_at": NOW - timedelta(hours=2),
        "due_at": NOW - timedelta(hours=1),
        "first_failed_at": NOW - timedelta(hours=1),
    } | fields
    return Invoice.objects.create(customer=customer, **values)


def attempt(invoice: Invoice, **fields: Any) -> PaymentAttempt:
    number = invoice.attempts.count() + 1
    values = {
        "number": number,
        "status": AttemptStatus.DECLINED,
        "origin": AttemptOrigin.PROCESSOR,
        "amount": invoice.amount_due,
        "currency": invoice.currency,
        "at": NOW - timedelta(hours=1),
        "decline_code": "insufficient_funds",
        "decline_category": "insufficient_funds",
    } | fields
    return PaymentAttempt.objects.create(invoice=invoice, **values)


def fee(invoice: Invoice, **fields: Any) -> Fee:
    """The fixed sum of EU law on an invoice, owed, unless told otherwise."""
    values = {
        "customer": invoice.customer, "kind": Fee.Kind.LATE_FEE, "amount": 4000, "currency": "EUR",
        "rule": "eu.fixed", "at": NOW,
    } | fields  # fmt: skip
    return Fee.objects.create(invoice=invoice, **values)


def template(code: str = "reminder", *, language: str = "en", **fields: Any) -> Template:
    """A published e-mail template with one language, already compiled."""
    row, made = Template.objects.get_or_create(code=code, defaults={"name": code.title()} | fields)
    if made:
        version = TemplateVersion.objects.create(template=row, number=1, status="published", published_at=NOW)
        TemplateText.objects.create(
            version=version,
            language=language,
            subject="Your payment of {{ balances[0].amount | money: balances[0].currency }}",
            body="<mjml></mjml>",
            compiled_html='<p>Dear {{ customer.name }}</p><a href="{{ links.portal }}">Pay</a>',
            compiled_text="Dear {{ customer.name }}\nPay: {{ links.portal }}",
        )
    return row


def text(template: Template, channel: str, **fields: Any) -> TemplateText:
    """What the published version of a template says on another channel than e-mail, in English unless told."""
    values = {
        "language": "en",
        "subject": "About your invoice",
        "body": "-",
        "compiled_text": "Dear {{ customer.name }}, {{ balances | money_list }} is open. Pay: {{ links.pay }}",
    } | fields
    return TemplateText.objects.create(version=template.versions.get(status="published"), channel=channel, **values)


def ladder(*, steps: list[dict[str, Any]] | None = None, **fields: Any) -> LadderVersion:
    """A published ladder version; by default three e-mail steps on days 0, 3 and 7."""
    n = next(_serial)
    version_fields = {name: fields.pop(name) for name in VERSION_FIELDS if name in fields}
    row = Ladder.objects.create(
        **({"code": f"ladder-{n}", "name": f"Ladder {n}", "trigger": Trigger.PAYMENT_FAILED} | fields)
    )
    version = LadderVersion.objects.create(
        ladder=row, number=1, status=VersionStatus.PUBLISHED, published_at=NOW, **version_fields
    )
    for position, step in enumerate(steps if steps is not None else [{"offset": d} for d in (0, 3, 7)], start=1):
        values = {
            "position": position,
            "key": f"step-{position}",
            "name": f"Step {position}",
            "action": Action.MESSAGE,
            "channel": "email",
        } | step
        if values["action"] == Action.MESSAGE and "template" not in values:
            values["template"] = template()
        Step.objects.create(version=version, **values)
    return version


def case(customer: Customer, *, invoices: list[Invoice] | None = None, **fields: Any) -> Case:
    """An open case due at NOW over the given invoices (a new one by default)."""
    rows = invoices if invoices is not None else [invoice(customer)]
    anchor = min((row.first_failed_at or row.due_at or NOW for row in rows), default=NOW)
    values = {
        "brand": customer.brand,
        "trigger": Trigger.PAYMENT_FAILED,
        "opened_at": anchor,
        "anchor_at": anchor,
        "next_action_at": NOW,
    } | fields
    if "ladder_version" not in values:
        values["ladder_version"] = ladder()
    row = Case.objects.create(customer=customer, **values)
    CaseInvoice.objects.bulk_create(
        CaseInvoice(case=row, invoice=item, joined_at=item.first_failed_at or NOW) for item in rows
    )
    return row


def message(case: Case, **fields: Any) -> Message:
    """An e-mail of the case, due at NOW, to the customer's own address."""
    n = next(_serial)
    values = {
        "customer": case.customer,
        "brand": case.brand,
        "channel": "email",
        "language": case.customer.language or "en",
        "recipient": case.customer.email,
        "key": f"test:{n}",
        "queued_at": NOW,
        "send_at": NOW,
    } | fields
    if "template_version" not in values:
        values["template_version"] = template().versions.get(status="published")
    return Message.objects.create(case=case, **values)


def experiment(*, arms: list[dict[str, Any]] | None = None, **fields: Any) -> Experiment:
    """A draft experiment on a ladder; by default half go on as ever and half are left without contact."""
    n = next(_serial)
    values = {"code": f"experiment-{n}", "name": f"Experiment {n}", "kind": "ladder"} | fields
    if values["kind"] != "template" and "ladder" not in values:
        values["ladder"] = ladder().ladder
    row = Experiment.objects.create(**values)
    chosen = arms if arms is not None else [{"name": "As ever"}, {"name": "No contact", "holdout": True}]
    for position, arm in enumerate(chosen, start=1):
        ExperimentArm.objects.create(
            experiment=row, **({"position": position, "name": f"Arm {position}", "share": 100 // len(chosen)} | arm)
        )
    return row
