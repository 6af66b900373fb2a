"""Amounts and refusals in templates."""

from django import template

from billing import money as money_
from billing.category_words import category_words

register = template.Library()


@register.filter
def money(amount: int | None, currency: str) -> str:
    """Minor units as the reader's language writes them; a dash for none."""
    return money_.shown(amount, currency)


@register.filter
def refusal(category: str) -> str:
    """A category of declines in a few words; a dash for none."""
    return category_words(category)
