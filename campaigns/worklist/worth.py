"""Owns comparing sums of different currencies for the order of the worklist, and for nothing else. Pure.

No amount a person reads, owes or pays goes through here: amounts of different currencies are never summed. A list that
holds several currencies must still have an order, and for that a rate good to a tenth is good enough.
"""

from collections.abc import Mapping
from decimal import Decimal

from billing.money import to_major
from customers.errors import SollecitoError

#: Units of the currency for one euro: reference rates of the European Central Bank, 31 December 2024, to two or three
#: figures. A currency that is not here counts as if its unit were a dollar.
_PER_EURO: Mapping[str, str] = {
    "EUR": "1", "USD": "1.04", "GBP": "0.83", "JPY": "163", "CHF": "0.94", "PLN": "4.28", "SEK": "11.5", "NOK": "11.8",
    "DKK": "7.46", "CZK": "25.2", "HUF": "411", "RON": "4.97", "BGN": "1.96", "ISK": "144", "TRY": "36.7",
    "AUD": "1.68", "BRL": "6.43", "CAD": "1.49", "CNY": "7.58", "HKD": "8.07", "IDR": "16800", "ILS": "3.79",
    "INR": "88.9", "KRW": "1530", "MXN": "21.6", "MYR": "4.65", "NZD": "1.85", "PHP": "60.3", "SGD": "1.42",
    "THB": "35.7", "ZAR": "19.6",
}  # fmt: skip
_UNKNOWN = Decimal(_PER_EURO["USD"])
_RATES = {currency: Decimal(rate) for currency, rate in _PER_EURO.items()}


def comparable(amount: int, currency: str) -> int:
    """About how many cents of a euro `amount` (minor units) is worth; for ordering rows only."""
    try:
        major = to_major(amount, currency)
    except SollecitoError:
        major = Decimal(amount) / 100
    return int(100 * major / _RATES.get(currency.upper(), _UNKNOWN))
