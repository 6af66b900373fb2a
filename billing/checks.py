"""System checks of billing: what an operator should hear at start and not from a task that could not be done."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError

from billing.conflicts import conflicts
from billing.fees import rates_ended
from customers import clock
from customers.errors import SollecitoError


@register()
def check_fee_file(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Whether the table of statutory rates can be read (billing.E001)."""
    try:
        rates_ended(clock.now().date())
    except SollecitoError as error:
        return [Error(str(error), hint="Mend the file that FEE_RATES names, or unset it.", id="billing.E001")]
    return []


# With --deploy only: most installations charge no interest, and every command would begin with this warning.
@register(deploy=True)
def check_fee_rates(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Whether the table of statutory rates still holds today (billing.W001)."""
    try:
        ended = rates_ended(clock.now().date())
    except SollecitoError:
        return []
    return [
        Warning(
            sentence,
            hint="Only matters where ladders charge interest: docs/late-fees.md says how to add rates.",
            id="billing.W001",
        )
        for sentence in ended
    ]


@register(Tags.database)
def check_retry_schedules(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Whether a processor retries by its own schedule while the retries are ours (billing.W002)."""
    if not kwargs.get("databases"):
        return []
    try:
        found = conflicts()
    except DatabaseError:
        # `migrate` checks before it has made the tables, or the column that is asked for.
        return []
    return [
        Warning(
            f"{conflict.name}: the processor retries {conflict.invoices} open invoices by its own schedule while we "
            f"own the retries (since {conflict.since:%Y-%m-%d %H:%M} UTC). We leave those alone.",
            hint="Switch the processor's retries off, or set the account's retries to observe.",
            id="billing.W002",
        )
        for conflict in found
    ]
