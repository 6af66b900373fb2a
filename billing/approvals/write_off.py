"""Owns writing off as an act of staff: invoices given up by one person, or by two where the sum asks for it."""

import hashlib
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from billing.approvals.acts import Act, act_register
from billing.approvals.services import Outcome, Proposal, act_or_request, amounts_words
from billing.models import Adjustment, Invoice, InvoiceStatus
from billing.uncollectible import invoices_give_up
from customers.errors import SollecitoError
from customers.models import Customer

PERMISSION = "billing.write_off_invoice"


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
        summary=what % {"n": len(rows), "invoice": rows[0], "amounts": amounts_words(amounts)},
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
    ids = [int(pk) for pk in payload["invoice_ids"]]
    # Owners' rows first (billing.locks), so that no payment changes a balance between the look and the deed.
    owners = Invoice.objects.filter(pk__in=ids).values("customer_id")
    list(Customer.objects.filter(pk__in=owners).order_by("pk").select_for_update(no_key=True).values_list("pk"))
    rows = _open(ids)
    if not rows:
        raise SollecitoError(_("None of these invoices is open any more."), code="nothing_open")
    for currency, owed in _sums(rows).items():
        if owed > amounts.get(currency, 0):
            words = _("Meanwhile %(owed)s is owed, more than what was approved.")
            raise SollecitoError(words % {"owed": amounts_words({currency: owed})}, code="approval_exceeded")
    keys = {row.pk: f"write_off:{actor_id}:{now.timestamp():.0f}" for row in rows}
    done = invoices_give_up(
        keys=keys, write_off=True, reason=str(payload.get("reason", "")), now=now, actor_id=actor_id
    )
    return ngettext("%(n)d invoice written off: %(amounts)s.", "%(n)d invoices written off: %(amounts)s.", done) % {
        "n": done,
        "amounts": amounts_words(_sums(rows)),
    }


WRITE_OFF = act_register(Act.adjusting(Adjustment.Kind.WRITE_OFF, permission=PERMISSION, run=_run))
