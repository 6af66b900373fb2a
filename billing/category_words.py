"""Owns the words for staff of declines' categories and of what would help; apart from them, as planning does without
Django.
"""

from typing import Any

from django.utils.translation import gettext_lazy as _

from billing.retries.taxonomy import AsksFor, Category

#: Categories in a few words, for staff.
CATEGORY_WORDS: dict[str, Any] = {
    Category.INSUFFICIENT_FUNDS: _("insufficient funds"),
    Category.ISSUER_SOFT: _("refused for now"),
    Category.DO_NOT_HONOR: _("refused without a reason"),
    Category.CARD_DATA: _("wrong card data"),
    Category.EXPIRED: _("card expired"),
    Category.LOST_STOLEN: _("card lost or stolen"),
    Category.FRAUD: _("suspicion of fraud"),
    Category.AUTHENTICATION: _("confirmation required"),
    Category.LIMIT_VELOCITY: _("limit reached"),
    Category.TECHNICAL: _("technical fault"),
    Category.ACCOUNT_CLOSED: _("account closed"),
    Category.REVOCATION: _("permission withdrawn"),
    Category.UNSUPPORTED: _("card not accepted"),
    Category.UNKNOWN: _("unknown"),
}

#: What only the customer can do about it.
HELP_WORDS: dict[AsksFor, Any] = {
    AsksFor.NEW_CARD: _("another card, or new details of this one"),
    AsksFor.AUTHENTICATE: _("the customer's own confirmation, by the link to the payment page"),
    AsksFor.FUNDS: _("money on the account"),
    AsksFor.CONTACT_BANK: _("the customer's word with the bank"),
    AsksFor.NOTHING: "",
}


def category_words(category: str) -> str:
    """A category of declines in a few words; one that is not known as it is, a dash for none."""
    return str(CATEGORY_WORDS.get(category, category)) if category else "–"
