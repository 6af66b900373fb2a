"""Acts on many invoices: bring the planned charge forward, write off."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from billing.approvals.write_off import BULK, JobApproval
from billing.approvals.write_off import PERMISSION as WRITE_OFF
from billing.models import AttemptOrigin, AttemptStatus, Invoice, InvoiceStatus, PaymentAttempt
from billing.money import shown
from billing.retries.services import retries_hasten
from billing.uncollectible import invoices_give_up
from customers.bulk import BulkAct, Did, Params, Row, act_register

MODEL = "billing.Invoice"
#: A charge brought forward to later than this is told with its moment: it waits for a rule.
SOON = timedelta(minutes=1)


def _unplanned(ids: Sequence[int], now: datetime) -> dict[int, str]:
    """Why there is no later charge to bring forward, by invoice. Two queries."""
    planned = set(
        PaymentAttempt.objects.filter(
            invoice__in=ids, status=AttemptStatus.PLANNED, origin=AttemptOrigin.RETRY, scheduled_for__gt=now
        ).values_list("invoice_id", flat=True)
    )
    found = dict.fromkeys(ids, _now("It is not there any more."))
    for pk, status, reason in Invoice.objects.filter(pk__in=ids).values_list("pk", "status", "retry_reason"):
        if pk in planned:
            del found[pk]
        elif status != InvoiceStatus.OPEN:
            found[pk] = _now("Its status is: %(status)s.") % {"status": InvoiceStatus(status).label}
        else:
            found[pk] = _now("No charge of ours is planned for later. %(reason)s") % {"reason": reason}
    return {pk: why.strip() for pk, why in found.items()}


def _hasten(rows: Sequence[Row], params: Params, actor_id: int, now: datetime) -> Mapping[int, Did]:
    ids = [row.id for row in rows]
    why = _unplanned(ids, now)
    moments = retries_hasten(
        invoice_ids=[pk for pk in ids if pk not in why],
        reason=params.get("reason", "") or _now("Staff asked for it."),
        now=now,
        actor_id=actor_id,
    )
    did = {pk: Did.not_done(words) for pk, words in why.items()}
    for pk in ids:
        if pk in moments:
            late = moments[pk] > now + SOON
            moment = date_format(localtime(moments[pk]), "SHORT_DATETIME_FORMAT")
            did[pk] = Did(reason=_now("Not before %(moment)s.") % {"moment": moment} if late else "")
        elif pk not in did:
            did[pk] = Did.not_done(_now("A wait the networks or the ladder impose stands in the way."))
    return did


def _not_open(rows: Sequence[Row], params: Params, now: datetime) -> Mapping[int, str]:
    found = dict.fromkeys([row.id for row in rows], _now("It is not there any more."))
    for pk, status, balance in Invoice.objects.filter(pk__in=found).values_list("pk", "status", "balance"):
        if status != InvoiceStatus.OPEN:
            found[pk] = _now("Its status is: %(status)s.") % {"status": InvoiceStatus(status).label}
        elif balance <= 0:
            found[pk] = _now("Nothing is owed any more.")
        else:
            del found[pk]
    return found


def _owed(ids: Collection[int]) -> Mapping[int, str]:
    rows = Invoice.objects.filter(pk__in=list(ids)).values_list("pk", "balance", "currency")
    return {pk: shown(balance, currency) for pk, balance, currency in rows}


def _write_off(rows: Sequence[Row], params: Params, actor_id: int, now: datetime) -> Mapping[int, Did]:
    why = _not_open(rows, params, now)
    left = [row.id for row in rows if row.id not in why]
    invoices_give_up(
        keys=dict.fromkeys(left, "staff"), write_off=True, reason=params["reason"], now=now, actor_id=actor_id
    )
    return {pk: Did.not_done(words) for pk, words in why.items()} | {pk: Did() for pk in left}


act_register(
    BulkAct(
        slug="invoices.retry_now",
        label=_("Retry now"),
        permission="billing.add_paymentattempt",
        model=MODEL,
        check=lambda rows, params, now: _unplanned([row.id for row in rows], now),
        act=_hasten,
        no_undo=_("A charge that was asked for may have been made."),
    )
)
act_register(
    BulkAct(
        slug=BULK,
        label=_("Write off"),
        permission=WRITE_OFF,
        model=MODEL,
        check=_not_open,
        act=_write_off,
        second_person=JobApproval(),
        stake=(_("owed now"), _owed),
        no_undo=_("What was written off is given up; a customer may still pay it."),
    )
)
