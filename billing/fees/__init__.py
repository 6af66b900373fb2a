"""Late fees and statutory interest of businesses that pay late; `fees_charge` is the front door."""

from billing.fees.compute import Debt, FeeRefused, Paid, Quote, fixed_sum, interest
from billing.fees.owed import Owed, Sum, fees_owed, fees_owed_by, fees_sum, late_payment_law
from billing.fees.services import FeesResult, fee_close, fees_charge, fees_follow_payment
from billing.fees.table import Regime, rates_ended, regime_for, regimes

__all__ = [
    "Debt",
    "FeeRefused",
    "FeesResult",
    "Owed",
    "Paid",
    "Quote",
    "Regime",
    "Sum",
    "fee_close",
    "fees_charge",
    "fees_follow_payment",
    "fees_owed",
    "fees_owed_by",
    "fees_sum",
    "fixed_sum",
    "interest",
    "late_payment_law",
    "rates_ended",
    "regime_for",
    "regimes",
]
