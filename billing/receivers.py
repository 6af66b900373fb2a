"""What this app does on news from below: retries that stopped for an exclusion go on when it is lifted."""

from typing import Any

from django.dispatch import receiver

from billing.models import Invoice, InvoiceStatus, RetryState
from billing.retries.services import retries_resume
from customers import clock
from customers.models import Customer
from customers.signals import exclusions_changed


@receiver(exclusions_changed)
def retries_follow(*, customer_id: int, **_kwargs: Any) -> None:
    """Has the customer's charges planned again where nothing forbids them any more; the planner decides anew.

    A new exclusion needs nothing here: each charge asks again before it is made.
    """
    free = Customer.objects.filter(pk=customer_id, no_dunning=False, legal_hold=False, bankrupt=False)
    if not free.exists():
        return
    stopped = Invoice.objects.filter(
        customer_id=customer_id,
        status=InvoiceStatus.OPEN,
        retry_state__in=(RetryState.STOPPED, RetryState.NONE),
    )
    if ids := list(stopped.values_list("pk", flat=True)):
        retries_resume(invoice_ids=ids, now=clock.now())
