"""Amounts and refusals in templates."""

from django import template
from django.utils.translation import get_language

from billing import money as money_
from billing.category_words import category_words

register = template.Library()


@register.filter
def money(amount: int | None, currency: str) -> str:
    """Minor units as the reader's language writes them; a dash for none."""
    return "–" if amount is None else money_.display(amount, currency, get_language() or "en")


@register.filter
def refusal(category: str) -> str:
    """A category of declines in a few words; a dash for none."""
    return category_words(category)
