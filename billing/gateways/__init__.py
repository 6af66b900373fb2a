"""Payment processors behind one protocol; `gateway_for` is the front door.

A new processor is one module beside `stripe.py` that implements `Gateway`, and a line in `gateway_for`.
"""

from billing.gateways.base import JSON, ChargeResult, ChargeStatus, ErrorKind, Gateway, GatewayError, InvoiceOutcome
from billing.gateways.manual import ManualGateway

__all__ = [
    "JSON",
    "ChargeResult",
    "ChargeStatus",
    "ErrorKind",
    "Gateway",
    "GatewayError",
    "InvoiceOutcome",
    "gateway_for",
    "is_chargeable",
]


def is_chargeable(source: str) -> bool:
    """Whether rows of this `source` come from a processor that can be asked and charged."""
    return source != "manual" and not source.startswith("import:")


def gateway_for(source: str) -> Gateway:
    """The gateway of the account whose code is `source`; `manual` and `import:*` cannot be charged."""
    if not is_chargeable(source):
        return ManualGateway()
    from billing.gateways.stripe import stripe_gateway

    return stripe_gateway()
