"""The back office for money: invoices, attempts, payments, arrangements and the processor's inbox."""

from billing.admin import (
    arrangements,
    customer_sections,
    facts,
    fees,
    invoices,
    ledgers,
    retry_models,
    retry_policies,
    system,
)

__all__ = [
    "arrangements",
    "customer_sections",
    "facts",
    "fees",
    "invoices",
    "ledgers",
    "retry_models",
    "retry_policies",
    "system",
]
