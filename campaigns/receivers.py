"""What this app does on news from below: it only wakes its loops."""

from typing import Any

from django.dispatch import receiver

from billing.signals import facts_changed
from customers.wake import wake


@receiver(facts_changed)
def assess_soon(**_kwargs: Any) -> None:
    """The customers to look at are marked in the database (Customer.reassess_at) already."""
    wake("campaigns.tasks.assess_customers")
