"""Amounts in templates."""

from django import template
from django.utils.translation import get_language

from billing import money as money_

register = template.Library()


@register.filter
def money(amount: int | None, currency: str) -> str:
    """Minor units as the reader's language writes them; a dash for none."""
    return "–" if amount is None else money_.display(amount, currency, get_language() or "en")
