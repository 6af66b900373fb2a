"""What the demo came to, counted in the database and, for money really moved, by the sandbox."""

from typing import Any

from django.db.models import Count, Q, Sum

from billing.models import Invoice, InvoiceStatus, PaymentAttempt, Promise
from campaigns.models import Case, Experiment, InboundMessage, Message, StepRun, Task
from campaigns.models.case import LIVE_STATES
from customers.models import Customer, Interaction, Suppression


def summary(*, seed: int, until: str, days: int, ledger: dict[str, Any], mails: int) -> dict[str, Any]:
    """Counts and amounts (minor units per currency) of the whole demo; the same for the same seed and day."""
    failed = Invoice.objects.filter(first_failed_at__isnull=False)
    recovered = failed.filter(status=InvoiceStatus.PAID)
    lost = Q(status__in=[InvoiceStatus.UNCOLLECTIBLE, InvoiceStatus.VOID])
    messages = _counts(Message.objects.all(), "status")
    return {
        "seed": seed,
        "until": until,
        "days": days,
        "customers": Customer.objects.count(),
        "invoices": Invoice.objects.count(),
        "failed": {"count": failed.count(), "amount": _amounts(failed)},
        "recovered": {
            "count": recovered.count(),
            "amount": _amounts(recovered),
            "by_source": _counts(recovered, "recovered_by"),
        },
        "open": {
            "invoices": failed.filter(status=InvoiceStatus.OPEN).count(),
            "cases": Case.objects.filter(state__in=LIVE_STATES).count(),
        },
        "lost": failed.filter(lost).count(),
        "cases": _counts(Case.objects.all(), "state"),
        "closed_cohorts": closed_cohorts(),
        "attempts": {
            "by_status": _counts(PaymentAttempt.objects.all(), "status"),
            "by_origin": _counts(PaymentAttempt.objects.filter(at__isnull=False), "origin"),
        },
        "steps": _counts(StepRun.objects.all(), "decision"),
        "deferrals": _counts(Interaction.objects.filter(kind="step.deferred"), "data__rule"),
        "messages": messages,
        "sent_by_channel": _counts(Message.objects.filter(sent_at__isnull=False), "channel"),
        "incoming": _counts(InboundMessage.objects.all(), "kind"),
        "suppressed": _counts(Suppression.objects.all(), "reason"),
        "tasks": _counts(Task.objects.all(), "status"),
        "promises": _counts(Promise.objects.all(), "status"),
        "experiments": dict(Experiment.objects.order_by("code").values_list("code").annotate(n=Count("exposures"))),
        "mails_delivered_over_smtp": mails,
        "charges_counted_by_the_sandbox": ledger["charges_succeeded"],
        "double_charges": len(ledger["double_charges"]),
    }


def closed_cohorts() -> dict[str, Any]:
    """Recovery of the invoices whose ladder is over: nothing can change these figures any more.

    A cohort still open says nothing yet; counting it makes the rate whatever one likes.
    """
    over = Invoice.objects.filter(first_failed_at__isnull=False).exclude(case_invoices__case__state__in=LIVE_STATES)
    over = over.exclude(status=InvoiceStatus.OPEN)
    count = over.count()
    paid = over.filter(status=InvoiceStatus.PAID).count()
    return {"failed": count, "recovered": paid, "rate": round(paid / count, 4) if count else None}


def _counts(rows: Any, field: str) -> dict[str, int]:
    pairs = rows.order_by(field).values_list(field).annotate(n=Count("pk"))
    return {value or "none": n for value, n in pairs}


def _amounts(rows: Any) -> dict[str, int]:
    pairs = rows.order_by("currency").values_list("currency").annotate(total=Sum("amount_due"))
    return {currency.upper(): total for currency, total in pairs}


def in_words(result: dict[str, Any]) -> str:
    """The summary as a person reads it in a terminal."""
    failed, recovered, closed = result["failed"], result["recovered"], result["closed_cohorts"]
    attempts, messages = result["attempts"]["by_status"], result["messages"]
    sent = sum(n for status, n in messages.items() if status not in {"queued", "cancelled", "failed"})
    rate = f"{closed['rate']:.1%}" if closed["rate"] is not None else "none yet"
    by = ", ".join(f"{source.replace('_', ' ')} {n}" for source, n in recovered["by_source"].items())
    days = f"{result['days']} days up to {result['until']}"
    lines = [
        f"{result['customers']} customers, {result['invoices']} invoices, {days}",
        f"failed             {failed['count']} invoices ({_money(failed['amount'])})",
        f"recovered          {recovered['count']} ({_money(recovered['amount'])}): {by}",
        f"still open         {result['open']['invoices']} invoices in {result['open']['cases']} cases",
        f"lost               {result['lost']}",
        f"attempts           {attempts.get('declined', 0)} declined, {attempts.get('succeeded', 0)} succeeded, "
        f"{attempts.get('planned', 0)} planned",
        f"messages           {sent} sent; {sum(result['deferrals'].values())} times a step waited for a better moment",
        f"by channel         {_words(result['sent_by_channel'])}; {sum(result['incoming'].values())} came back, "
        f"{sum(result['suppressed'].values())} addresses suppressed",
        f"staff              {result['tasks'].get('done', 0)} tasks done, {result['tasks'].get('open', 0)} waiting; "
        f"{sum(result['promises'].values())} promises taken",
        f"recovery rate      {rate} of the {closed['failed']} invoices whose ladder is over",
        f"double charges     {result['double_charges']}, as counted by the sandbox",
    ]
    return "\n".join(lines)


def _words(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in counts.items())


def _money(amounts: dict[str, int]) -> str:
    from billing.money import display

    return ", ".join(display(amount, currency) for currency, amount in amounts.items())
