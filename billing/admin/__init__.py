"""The back office for money: invoices, attempts, payments, arrangements and the processor's inbox."""

from billing.admin import (
    approvals,
    arrangements,
    customer_sections,
    facts,
    fees,
    imports,
    invoices,
    ledgers,
    plan_policies,
    resources,
    retry_models,
    retry_policies,
    system,
)

__all__ = [
    "approvals",
    "arrangements",
    "customer_sections",
    "facts",
    "fees",
    "imports",
    "invoices",
    "ledgers",
    "plan_policies",
    "resources",
    "retry_models",
    "retry_policies",
    "system",
]
