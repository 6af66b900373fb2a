"""Owns which bank stands behind a payment method, as far as the processor tells it.

Stripe tells the bank of an account (`bank_code`, `bank_name` and their like), but of a card only to accounts it has
switched that on for: `card.issuer` and `card.iin` are in its API, marked "not typically available in standard API
requests". A card without them has no bank here, and strategies take it as one of unknown banks.
"""

from collections.abc import Mapping
from types import MappingProxyType

from billing.gateways import JSON

#: Type of a method → the fields that name its bank, best first: a name where one bank has many numbers.
_TOLD_BY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "card": ("issuer", "iin"),
        "acss_debit": ("institution_number",),
        "au_becs_debit": ("bsb_number",),
        "bacs_debit": ("sort_code",),
        "sepa_debit": ("bank_code",),
        "us_bank_account": ("bank_name", "routing_number"),
    }
)
#: No more of a card's number is kept: these with the last four digits are what card data rules let anybody store.
_IIN_DIGITS = 6


def issuer_of(kind: str, details: JSON) -> str:
    """The opaque id of the bank behind a method of type `kind`, "" where its `details` do not tell.

    Equal for methods of one bank and told apart between countries, whose bank codes overlap.
    """
    for name in _TOLD_BY.get(kind, ()):
        value = " ".join(str(details.get(name) or "").split())
        if value:
            told = value[:_IIN_DIGITS] if name == "iin" else value
            country = str(details.get("country") or "")
            return f"{country}:{told}".removeprefix(":").casefold()[:80]
    return ""
