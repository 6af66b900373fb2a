"""Late fees and statutory interest of businesses that pay late; `fees_charge` is the front door."""

from billing.fees.compute import Debt, FeeRefused, Paid, Quote, fixed_sum, interest
from billing.fees.services import FeesResult, fee_close, fees_charge, fees_follow_payment
from billing.fees.table import Regime, regime_for, regimes

__all__ = [
    "Debt",
    "FeeRefused",
    "FeesResult",
    "Paid",
    "Quote",
    "Regime",
    "fee_close",
    "fees_charge",
    "fees_follow_payment",
    "fixed_sum",
    "interest",
    "regime_for",
    "regimes",
]
