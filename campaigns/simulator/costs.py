"""What a contact costs: the operator's table from settings.CONTACT_COSTS."""

from types import MappingProxyType

from django.conf import settings

from campaigns.simulator.types import Costs


def cost_table() -> Costs:
    """The table in force."""
    return Costs(settings.CONTACT_COSTS_CURRENCY, MappingProxyType(dict(settings.CONTACT_COSTS)))
