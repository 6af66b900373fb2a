"""What this app does on news from below: it only wakes its loops."""

from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver

from billing.signals import facts_changed
from campaigns.models import Ladder, VersionStatus
from campaigns.services.versions import customers_announce
from customers import clock
from customers.wake import wake


@receiver(facts_changed)
def assess_soon(**_kwargs: Any) -> None:
    """The customers to look at are marked in the database (Customer.reassess_at) already."""
    wake("campaigns.tasks.assess_customers")


@receiver(post_save, sender=Ladder)
def announce_when_switched_on(*, instance: Ladder, **_kwargs: Any) -> None:
    """A ladder about days that are coming has those concerned looked at: nothing else tells of them."""
    if instance.active and instance.versions.filter(status=VersionStatus.PUBLISHED).exists():
        customers_announce(instance, clock.now())
