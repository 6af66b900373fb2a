"""Owns writing off as an act of staff: invoices given up by one person, or by two where the sum asks for it."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db.models import QuerySet, Sum
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from billing.approvals.acts import Act, act_register, adjusted
from billing.approvals.deciders import About, deciders_words, job_of, jobs_deciding
from billing.approvals.services import (
    Outcome,
    Proposal,
    act_or_request,
    allowed_alone,
    approval_request,
)
from billing.models import Adjustment, ApprovalRequest, Invoice, InvoiceStatus
from billing.money import sums_shown
from billing.uncollectible import invoices_give_up
from customers.bulk.jobs import job_refuse, job_release
from customers.errors import SollecitoError
from customers.models import BulkItem, BulkJob, BulkOutcome, BulkStatus, Customer

PERMISSION = "billing.write_off_invoice"
#: Slug of the act on many invoices (billing.bulk).
BULK = "invoices.write_off"


def write_off_proposal(*, invoice_ids: Collection[int], reason: str) -> Proposal:
    """What writing off these invoices means: those still open, with what they owe. One query.

    Raises SollecitoError (`nothing_open`) where none of them owes anything.
    """
    rows = _open(invoice_ids)
    if not rows:
        raise SollecitoError(_("None of these invoices is open."), code="nothing_open")
    amounts = _sums(rows)
    if len(rows) == 1:
        what = _("Write off %(invoice)s: %(amounts)s")
    else:
        what = ngettext("Write off %(n)d invoice: %(amounts)s", "Write off %(n)d invoices: %(amounts)s", len(rows))
    ids = sorted(row.pk for row in rows)
    listed = ",".join(map(str, ids))
    return Proposal(
        act=Adjustment.Kind.WRITE_OFF.value,
        amounts=amounts,
        summary=what % {"n": len(rows), "invoice": rows[0], "amounts": sums_shown(amounts)},
        reason=reason,
        # A list of thousands is named by its digest.
        key=f"write_off:{listed if len(listed) < 100 else hashlib.sha256(listed.encode()).hexdigest()}",
        customer_ids=frozenset(row.customer_id for row in rows),
        payload={"invoice_ids": ids, "reason": reason},
        invoice_id=ids[0] if len(ids) == 1 else None,
    )


def invoices_write_off(*, invoice_ids: Collection[int], reason: str, actor_id: int, now: datetime) -> Outcome:
    """Gives up what open invoices owe, at once or by way of a request; `now` is aware UTC.

    Raises SollecitoError where none is open, or the same waits for approval already.
    """
    proposal = write_off_proposal(invoice_ids=invoice_ids, reason=reason)
    return act_or_request(proposal=proposal, actor_id=actor_id, now=now)


def _open(invoice_ids: Collection[int]) -> list[Invoice]:
    return list(Invoice.objects.filter(pk__in=list(invoice_ids), status=InvoiceStatus.OPEN, balance__gt=0))


def _sums(rows: Collection[Invoice]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for row in rows:
        sums[row.currency] = sums.get(row.currency, 0) + row.balance
    return sums


def _run(payload: Mapping[str, Any], amounts: Mapping[str, int], actor_id: int, now: datetime) -> str:
    if (job_id := job_of(payload)) is not None:
        return _release(job_id, amounts)
    ids = [int(pk) for pk in payload["invoice_ids"]]
    # Owners' rows first (billing.locks), so that no payment changes a balance between the look and the deed.
    owners = Invoice.objects.filter(pk__in=ids).values("customer_id")
    list(Customer.objects.filter(pk__in=owners).order_by("pk").select_for_update(no_key=True).values_list("pk"))
    rows = _open(ids)
    if not rows:
        raise SollecitoError(_("None of these invoices is open any more."), code="nothing_open")
    _check(_sums(rows), amounts)
    keys = {row.pk: f"write_off:{actor_id}:{now.timestamp():.0f}" for row in rows}
    done = invoices_give_up(
        keys=keys, write_off=True, reason=str(payload.get("reason", "")), now=now, actor_id=actor_id
    )
    return ngettext("%(n)d invoice written off: %(amounts)s.", "%(n)d invoices written off: %(amounts)s.", done) % {
        "n": done,
        "amounts": sums_shown(_sums(rows)),
    }


def _check(owed: Mapping[str, int], approved: Mapping[str, int]) -> None:
    """Raises where more is owed by now than was approved, minor units by currency."""
    for currency, amount in owed.items():
        if amount > approved.get(currency, 0):
            words = _("Meanwhile %(owed)s is owed, more than what was approved.")
            raise SollecitoError(words % {"owed": sums_shown({currency: amount})}, code="approval_exceeded")


# --- many invoices at once: the job waits for the answer


def _waiting(job_ids: Iterable[int] | QuerySet[BulkJob]) -> QuerySet[Invoice]:
    """The open invoices whose turn in these jobs is still to come."""
    items = BulkItem.objects.filter(job__in=job_ids, outcome=BulkOutcome.WAITING)
    return Invoice.objects.filter(pk__in=items.values("target"), status=InvoiceStatus.OPEN, balance__gt=0)


def _owed(rows: QuerySet[Invoice]) -> dict[str, int]:
    return dict(rows.order_by().values_list("currency").annotate(Sum("balance")))


class JobApproval:
    """Asks a second person about a bulk job that writes off (customers.bulk.SecondPerson): one request for all of it,
    decided where every other is."""

    def needed(self, job: BulkJob, now: datetime) -> str:
        """Who has to agree; empty where all of it together is within the person's limit."""
        if allowed_alone(proposal=self._proposal(job), actor_id=job.asked_by_id, now=now):
            return ""
        who = deciders_words(job.asked_by_id, About(job_id=job.pk))
        return _("All of it together is above your limit.") + " " + who

    def ask(self, job: BulkJob, now: datetime) -> None:
        """Files the request."""
        approval_request(proposal=self._proposal(job), actor_id=job.asked_by_id, now=now)

    def shown_to(self, user: Any) -> Collection[int]:
        """Jobs others asked about that this person decides, or decided, about."""
        return jobs_deciding(user)

    def _proposal(self, job: BulkJob) -> Proposal:
        rows = _waiting([job.pk])
        amounts, count = _owed(rows), job.total - job.settled
        words = ngettext("Write off %(n)d invoice: %(amounts)s", "Write off %(n)d invoices: %(amounts)s", count)
        return Proposal(
            act=Adjustment.Kind.WRITE_OFF.value,
            amounts=amounts,
            summary=words % {"n": count, "amounts": sums_shown(amounts)},
            reason=str(job.params.get("reason", "")),
            key=_key(job.pk),
            customer_ids=set(rows.order_by().values_list("customer_id", flat=True).distinct()),
            payload={"job_id": job.pk},
        )


def job_request(job_id: int) -> ApprovalRequest | None:
    """What a second person was asked about a bulk act; None where nobody was. One query."""
    return ApprovalRequest.objects.filter(key=_key(job_id)).select_related("decided_by").order_by("-pk").first()


def _key(job_id: int) -> str:
    return f"write_off:job:{job_id}"


def _release(job_id: int, approved: Mapping[str, int]) -> str:
    _check(_owed(_waiting([job_id])), approved)
    job = job_release(job_id=job_id)
    return _("Bulk act %(job)s begins.") % {"job": job}


def _dropped(payload: Mapping[str, Any], reason: str, now: datetime) -> None:
    job_id = job_of(payload)
    if job_id is not None and BulkJob.objects.filter(pk=job_id, status=BulkStatus.TO_APPROVE).exists():
        job_refuse(job_id=job_id, reason=reason, now=now)


def _spent(actor_id: int, customer_ids: Collection[int], currency: str, since: datetime) -> int:
    """What this person gave up on these customers, and is about to in jobs that run."""
    jobs = BulkJob.objects.filter(asked_by=actor_id, status__in=(BulkStatus.QUEUED, BulkStatus.RUNNING), act=BULK)
    soon = _owed(_waiting(jobs).filter(customer__in=list(customer_ids), currency=currency))
    return adjusted(Adjustment.Kind.WRITE_OFF)(actor_id, customer_ids, currency, since) + soon.get(currency, 0)


WRITE_OFF = act_register(
    Act(
        Adjustment.Kind.WRITE_OFF.value,
        Adjustment.Kind.WRITE_OFF.label,
        PERMISSION,
        run=_run,
        spent=_spent,
        dropped=_dropped,
    )
)
