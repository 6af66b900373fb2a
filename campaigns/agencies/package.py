"""Owns the package for an agency: what it is told of each case, by need, as CSV, XLSX or PDF; its leaving is logged.

Only what the agreement names leaves the house (Agency.share_*): identity and invoices always, addresses, the log of
contacts and the consents where the agency needs them. Notes and internal lines never do.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils.formats import date_format
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from billing import money
from billing.models import Invoice
from campaigns import typeset
from campaigns.models import Agency, Handover, HandoverInvoice, HandoverStatus
from customers.errors import SollecitoError
from customers.exports import content_type, export_bytes
from customers.log import Entry, record_many
from customers.models import ActorKind, ConsentEvent, Customer, Direction, Interaction

#: Cases of one package; more are asked for by another.
MOST = 500
#: Lines of a customer's log that go along, the newest.
MOST_LINES = 200
FORMS = ("csv", "xlsx", "pdf")


@dataclass(frozen=True, slots=True)
class Package:
    """A finished file and how many cases are in it."""

    name: str
    content: bytes
    content_type: str
    cases: int
    sha256: str


def package_make(*, handover_ids: Collection[int], form: str, actor_id: int, now: datetime) -> Package:
    """The package of open hand-overs to one agency as `form` (csv, xlsx or pdf) at `now` (aware UTC). That it was
    made, by whom, with what in it and which hash, is a line in each customer's log.

    Raises SollecitoError for hand-overs that are not open, of several agencies, or too many, and an unknown form.
    """
    if form not in FORMS:
        raise SollecitoError(_("Choose CSV, XLSX or PDF."), code="bad_form")
    rows = list(
        Handover.objects.filter(pk__in=handover_ids, status=HandoverStatus.OPEN)
        .select_related("agency", "case__customer__brand")
        .order_by("pk")[: MOST + 1]
    )
    agencies = {row.agency for row in rows}
    agency = next(iter(agencies), None)
    if len(agencies) != 1 or agency is None:
        raise SollecitoError(_("Choose open hand-overs to one agency."), code="agency_mixed")
    if len(rows) > MOST:
        raise SollecitoError(_("At most %(most)d cases at once.") % {"most": MOST}, code="too_many")
    dossiers = _dossiers(rows, agency)
    content = _pdf(dossiers, agency, now) if form == "pdf" else b"".join(export_bytes(form, *_table(dossiers, agency)))
    digest = hashlib.sha256(content).hexdigest()
    fields = shared(agency)
    with transaction.atomic():
        Handover.objects.filter(pk__in=[row.pk for row in rows]).update(exported_at=now)
        record_many(
            Entry(
                customer_id=row.case.customer_id,
                at=now,
                kind="agency.exported",
                summary=_("Data given to an agency: %(agency)s") % {"agency": agency},
                actor_kind=ActorKind.USER,
                actor_id=actor_id,
                subject=f"case:{row.case_id}",
                data={"agency": agency.code, "form": form, "fields": fields, "sha256": digest},
            )
            for row in rows
        )
    return Package(
        name=f"{agency.code}-{now:%Y%m%d-%H%M}.{form}",
        content=content,
        content_type="application/pdf" if form == "pdf" else content_type(form),
        cases=len(rows),
        sha256=digest,
    )


def shared(agency: Agency) -> list[str]:
    """Names of what this agency is given."""
    by_need = (
        ("email", agency.share_email),
        ("phone", agency.share_phone),
        ("postal_address", agency.share_address),
        ("log", agency.share_log),
        ("consents", agency.share_consents),
    )
    return ["name", "country", "kind", "language", "invoices", *(name for name, given in by_need if given)]


@dataclass(frozen=True, slots=True)
class _Dossier:
    """One case as the agency is told of it."""

    handover: Handover
    customer: Customer
    invoices: Sequence[HandoverInvoice]
    log: Sequence[Interaction]
    consents: Sequence[ConsentEvent]


def _dossiers(rows: Sequence[Handover], agency: Agency) -> list[_Dossier]:
    """All of them in four queries."""
    invoices: dict[int, list[HandoverInvoice]] = defaultdict(list)
    for link in (
        HandoverInvoice.objects.filter(handover__in=rows).select_related("invoice").order_by("invoice__due_at", "pk")
    ):
        invoices[link.handover_id].append(link)
    people = {row.case.customer_id for row in rows}
    log: dict[int, list[Interaction]] = defaultdict(list)
    if agency.share_log:
        # What was said between us; notes of staff stay here.
        told = Interaction.objects.filter(customer__in=people, direction__in=(Direction.IN, Direction.OUT))
        for line in told.exclude(kind="note.added").order_by("-at", "-pk"):
            if len(log[line.customer_id]) < MOST_LINES:
                log[line.customer_id].append(line)
    consents: dict[int | None, list[ConsentEvent]] = defaultdict(list)
    if agency.share_consents:
        for event in ConsentEvent.objects.filter(customer__in=people).order_by("-at", "-pk"):
            consents[event.customer_id].append(event)
    return [
        _Dossier(
            row,
            row.case.customer,
            invoices[row.pk],
            log[row.case.customer_id],
            consents[row.case.customer_id],
        )
        for row in rows
    ]


def _contact(customer: Customer, agency: Agency) -> list[str]:
    return [
        customer.email if agency.share_email else "",
        customer.phone if agency.share_phone else "",
        " ".join(customer.postal_address.split()) if agency.share_address else "",
    ]


def _table(dossiers: Sequence[_Dossier], agency: Agency) -> tuple[list[str], list[list[object]]]:
    """One row per invoice; amounts in major units."""
    headings = [
        _("case"), _("handed over"), _("customer"), _("kind"), _("country"), _("language"),
        _("e-mail"), _("telephone"), _("postal address"),
        _("invoice"), _("issued"), _("due"), _("currency"), _("amount"), _("paid"), _("credited"),
        _("owed now"), _("owed when handed over"), _("for"), _("contacts so far"), _("objections"),
    ]  # fmt: skip
    rows: list[list[object]] = []
    for each in dossiers:
        customer = each.customer
        refused = ", ".join(
            f"{c.channel} {c.at:%Y-%m-%d}" for c in each.consents if c.decision == ConsentEvent.Decision.WITHDRAWN
        )
        for link in each.invoices:
            row: Invoice = link.invoice
            rows.append(
                [
                    each.handover.case_id, each.handover.handed_at, str(customer), customer.kind, customer.country,
                    customer.language, *_contact(customer, agency), str(row), row.issued_at, row.due_at, row.currency,
                    money.to_major(row.amount_due, row.currency), money.to_major(row.amount_paid, row.currency),
                    money.to_major(row.amount_credited, row.currency), money.to_major(row.balance, row.currency),
                    money.to_major(link.balance, row.currency), row.description, len(each.log), refused,
                ]
            )  # fmt: skip
    return headings, rows


def _pdf(dossiers: Sequence[_Dossier], agency: Agency, now: datetime) -> bytes:
    return typeset.together([_sheet(each, agency, now) for each in dossiers])


def _sheet(each: _Dossier, agency: Agency, now: datetime) -> bytes:
    language = get_language() or "en"
    customer = each.customer
    sums = money.totals((link.invoice.balance, link.currency) for link in each.invoices)
    names = (_("E-mail"), _("Telephone"), _("Postal address"))
    facts = [
        (_("Creditor"), customer.brand.name),
        (_("Agency"), agency.name),
        (_("Agreement"), agency.agreement),
        (_("Customer"), str(customer)),
        (_("Kind"), customer.get_kind_display()),
        (_("Country"), customer.country),
        *zip(names, _contact(customer, agency), strict=True),
        (_("Handed over"), date_format(each.handover.handed_at)),
        (_("Owed"), ", ".join(money.display(amount, code, language) for code, amount in sums.items())),
    ]
    statement = [
        [
            str(link.invoice),
            date_format(link.invoice.due_at) if link.invoice.due_at else "",
            money.display(link.invoice.amount_due, link.currency, language),
            money.display(link.invoice.amount_paid + link.invoice.amount_credited, link.currency, language),
            money.display(link.invoice.balance, link.currency, language),
        ]
        for link in each.invoices
    ]
    log = [[date_format(line.at), line.get_channel_display(), line.summary] for line in each.log]
    consents = [
        [date_format(event.at), event.get_channel_display(), event.get_decision_display()] for event in each.consents
    ]
    return typeset.dossier(
        title=_("Case %(case)s") % {"case": each.handover.case_id},
        facts=[(name, value) for name, value in facts if value],
        tables=[
            (_("Statement"), [_("Invoice"), _("Due"), _("Amount"), _("Paid or credited"), _("Owed")], statement),
            (_("Contacts, newest first"), [_("Day"), _("Channel"), _("What")], log),
            (_("Consents and objections"), [_("Day"), _("Channel"), _("Decision")], consents),
        ],
        at=now,
        language=language,
    ).pdf
