"""Owns hand-overs: a case goes to an agency, by staff or by its ladder, and comes back.

While it is there nobody here contacts the customer (the guard blocks it) or charges the invoices handed over
(Invoice.at_agency, unless the agreement says that we go on); the customer may pay as ever.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from billing.models import Invoice, InvoiceStatus
from billing.retries.services import retries_hold, retries_resume
from campaigns.engine.actions import forbidden
from campaigns.models import Agency, Case, CaseInvoice, CaseState, Handover, HandoverInvoice, HandoverStatus, Task
from campaigns.models.case import LIVE_STATES
from campaigns.models.ladder import Action
from campaigns.services.case_acts import cases_locked
from campaigns.services.tasks import tasks_close
from customers.bulk import Did
from customers.errors import SollecitoError
from customers.log import Entry, record_many
from customers.models import ActorKind
from customers.services import customers_reassess
from customers.wake import wake


@dataclass(frozen=True, slots=True)
class Given:
    """A case that has just gone to an agency: by its ladder with the name that one used, or by staff."""

    case_id: int
    named: str = ""


def _agency(agency_id: int) -> Agency:
    agency = Agency.objects.filter(pk=agency_id, active=True).first()
    if agency is None:
        raise SollecitoError(_("There is no such agency in use."), code="agency_missing")
    return agency


def _refusal(case: Case) -> str:
    """Why a case is not handed over; empty if it is. Its customer is loaded."""
    if case.state not in LIVE_STATES:
        return _("The case has ended.")
    if case.state == CaseState.AGENCY:
        return _("It is at an agency already.")
    if case.state in (CaseState.PROMISED, CaseState.IN_PLAN, CaseState.DISPUTED):
        return _("Its state is: %(state)s.") % {"state": case.get_state_display()}
    return forbidden(Action.HAND_TO_AGENCY.value, case.customer)[1]


def hand_over_refusals(*, case_ids: Collection[int]) -> dict[int, str]:
    """Why cases would not be handed over now, by id; those that would are missing. Two queries."""
    found = dict.fromkeys(case_ids, _("It is not there any more."))
    owing = set(_owed(case_ids).values_list("case_id", flat=True))
    for row in Case.objects.filter(pk__in=case_ids).select_related("customer"):
        found[row.pk] = _refusal(row) or ("" if row.pk in owing else _("Nothing is owed any more."))
    return {pk: why for pk, why in found.items() if why}


def cases_hand_over(
    *, case_ids: Collection[int], agency_id: int, reason: str, actor_id: int, now: datetime
) -> dict[int, Did]:
    """Gives live cases to an agency at `now` (aware UTC), in a fixed number of statements; says what became of each
    that is there. A second call changes nothing. Raises SollecitoError for an agency that is not in use."""
    agency = _agency(agency_id)
    with transaction.atomic():
        rows = cases_locked(case_ids)
        why = hand_over_refusals(case_ids=[row.pk for row in rows])
        fit = [row for row in rows if row.pk not in why]
        ids = [row.pk for row in fit]
        Case.objects.filter(pk__in=ids).update(
            state=CaseState.AGENCY,
            next_action_at=None,
            next_action_reason=_("An agency handles the case."),
            rests_until=None,
            rest_reason="",
        )
        handovers_open(given=[Given(pk) for pk in ids], now=now, agency=agency, actor_id=actor_id)
        words = _("Handed to an agency: %(agency)s") % {"agency": agency}
        _tell(fit, "case.handed_over", words, reason, actor_id, now)
        customers_reassess({row.customer_id for row in fit}, now)
    return {row.pk: Did.not_done(why[row.pk]) if row.pk in why else Did() for row in rows}


def handovers_open(
    *, given: Sequence[Given], now: datetime, agency: Agency | None = None, actor_id: int | None = None
) -> None:
    """Writes the hand-overs of cases that go to an agency at `now`, in the caller's transaction, which holds their
    customers' locks. Without `agency` it is the one the ladder named; where there is none like that, staff are asked.
    A case that has an open hand-over keeps it. A fixed number of statements."""
    ids = [one.case_id for one in given]
    there = set(Handover.objects.filter(case__in=ids, status=HandoverStatus.OPEN).values_list("case_id", flat=True))
    fresh = [one for one in given if one.case_id not in there]
    if not fresh:
        return
    known = _by_name() if agency is None else {}
    rows = []
    for one in fresh:
        to = agency or known.get(one.named.strip().casefold())
        rows.append(
            Handover(
                case_id=one.case_id,
                agency=to,
                agency_named=one.named[:120],
                handed_at=now,
                handed_by_id=actor_id,
                commission_bps=to.commission_bps if to else 0,
                tail_days=to.tail_days if to else 0,
            )
        )
    Handover.objects.bulk_create(rows)
    by_case = {row.case_id: row for row in rows}
    owed = list(_owed(by_case).select_related("invoice"))
    HandoverInvoice.objects.bulk_create(
        HandoverInvoice(
            handover=by_case[link.case_id],
            invoice=link.invoice,
            balance=link.invoice.balance,
            currency=link.invoice.currency,
        )
        for link in owed
    )
    held = [link.invoice_id for link in owed if not _we_charge(by_case[link.case_id])]
    _hold(held, now)
    # No ladder waits for these any more: the case leaves its own.
    Task.objects.filter(case__in=by_case, kind=Task.Kind.CALL, status=Task.Status.OPEN).update(
        status=Task.Status.CANCELLED, closed_at=now
    )
    _ask_which(rows, now)


def _by_name() -> dict[str, Agency]:
    """Agencies in use by code and by name; where there is only one, also by no name at all."""
    rows = list(Agency.objects.filter(active=True))
    found = {key.casefold(): row for row in rows for key in (row.name, row.code)}
    return found | ({"": rows[0]} if len(rows) == 1 else {})


def _we_charge(handover: Handover) -> bool:
    return handover.agency is not None and handover.agency.we_charge


def _hold(invoice_ids: Collection[int], now: datetime) -> None:
    if invoice_ids:
        Invoice.objects.filter(pk__in=invoice_ids).update(at_agency=True)
        retries_hold(invoice_ids=invoice_ids, until=None, reason=_("An agency collects this invoice."), now=now)


def _ask_which(rows: Sequence[Handover], now: datetime) -> None:
    unnamed = [row for row in rows if row.agency is None]
    if not unnamed:
        return
    customers = dict(Case.objects.filter(pk__in=[row.case_id for row in unnamed]).values_list("pk", "customer_id"))
    Task.objects.bulk_create(
        [
            Task(
                customer_id=customers[row.case_id],
                case_id=row.case_id,
                kind=Task.Kind.REVIEW,
                title=_("Say which agency the case goes to"),
                notes=_("The ladder handed it over to “%(name)s”, which is none of the agencies in use.")
                % {"name": row.agency_named},
                key=f"handover:{row.pk}:which",
                due_at=now,
                created_at=now,
            )
            for row in unnamed
        ],
        ignore_conflicts=True,
    )


def handover_name(*, handover_id: int, agency_id: int, actor_id: int, now: datetime) -> Handover:
    """Says which agency an open hand-over is with, by the terms agreed with it today. Raises SollecitoError if it has
    ended or has one."""
    agency = _agency(agency_id)
    with transaction.atomic():
        cases = cases_locked(Handover.objects.filter(pk=handover_id).values_list("case_id", flat=True))
        row = Handover.objects.select_for_update().filter(pk=handover_id, status=HandoverStatus.OPEN).first()
        if row is None or row.agency_id is not None:
            raise SollecitoError(_("Its agency is settled."), code="handover_settled")
        row.agency, row.commission_bps, row.tail_days = agency, agency.commission_bps, agency.tail_days
        row.save(update_fields=["agency", "commission_bps", "tail_days"])
        tasks_close(tasks=Task.objects.filter(key=f"handover:{row.pk}:which"), status=Task.Status.DONE, now=now)
        words = _("Handed to an agency: %(agency)s") % {"agency": agency}
        _tell(cases, "case.handed_over", words, "", actor_id, now)
    return row


def recall_refusals(*, case_ids: Collection[int]) -> dict[int, str]:
    """Why cases cannot be recalled now, by id; those that can are missing. One query."""
    found = dict.fromkeys(case_ids, _("It is not there any more."))
    for row in Case.objects.filter(pk__in=case_ids).only("state"):
        found[row.pk] = "" if row.state == CaseState.AGENCY else _("It is not at an agency.")
    return {pk: why for pk, why in found.items() if why}


def cases_recall(*, case_ids: Collection[int], reason: str, actor_id: int, now: datetime) -> dict[int, Did]:
    """Takes cases back from their agency at `now` (aware UTC): they go on with the step they stood before and their
    invoices may be charged again. A fixed number of statements; a second call changes nothing."""
    with transaction.atomic():
        rows = cases_locked(case_ids)
        fit = [row for row in rows if row.state == CaseState.AGENCY]
        ids = [row.pk for row in fit]
        Case.objects.filter(pk__in=ids).update(
            state=CaseState.OPEN, next_action_at=now, next_action_reason=_("Recalled from the agency.")
        )
        handovers_end(case_ids=ids, status=HandoverStatus.RECALLED, reasons=dict.fromkeys(ids, reason), now=now)
        _tell(fit, "case.recalled", _("Recalled from the agency."), reason, actor_id, now)
        customers_reassess({row.customer_id for row in fit}, now)
        if fit:
            wake("campaigns.tasks.assess_customers")
    done = set(ids)
    return {row.pk: Did() if row.pk in done else Did.not_done(_("It is not at an agency.")) for row in rows}


def handovers_end(*, case_ids: Collection[int], status: str, reasons: Mapping[int, str], now: datetime) -> int:
    """Ends the open hand-overs of cases, in the caller's transaction, and returns how many. Their invoices are ours
    again."""
    rows = list(
        Handover.objects.filter(case__in=case_ids, status=HandoverStatus.OPEN).order_by("pk").select_for_update()
    )
    for row in rows:
        row.status, row.ended_at, row.end_reason = status, now, reasons.get(row.case_id, "")[:255]
    Handover.objects.bulk_update(rows, ["status", "ended_at", "end_reason"])
    invoices = list(
        HandoverInvoice.objects.filter(handover__in=rows, invoice__at_agency=True).values_list("invoice_id", flat=True)
    )
    if invoices:
        Invoice.objects.filter(pk__in=invoices).update(at_agency=False)
        retries_resume(invoice_ids=invoices, now=now)
    return len(rows)


def _owed(case_ids: Collection[int]) -> QuerySet[CaseInvoice]:
    return CaseInvoice.objects.filter(
        case__in=list(case_ids), left_at__isnull=True, invoice__status=InvoiceStatus.OPEN, invoice__balance__gt=0
    )


def _tell(rows: Sequence[Case], kind: str, words: str, reason: str, actor_id: int, now: datetime) -> None:
    record_many(
        Entry(
            customer_id=row.customer_id,
            at=now,
            kind=kind,
            summary=words,
            body=reason.strip(),
            actor_kind=ActorKind.USER,
            actor_id=actor_id,
            subject=f"case:{row.pk}",
        )
        for row in rows
    )
