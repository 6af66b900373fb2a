"""Owns the portal's template filters: a brand's colour, made safe and readable."""

import re

from django import template

register = template.Library()

DEFAULT = "#4f46e5"
_HEX = re.compile(r"#[0-9a-fA-F]{6}\Z")


@register.filter
def safe_color(value: object) -> str:
    """The colour if it is #rrggbb, else the default: what staff type must not become CSS of its own."""
    text = str(value or "")
    return text if _HEX.match(text) else DEFAULT


def luminance(color: str) -> float:
    """Relative luminance of #rrggbb by WCAG 2, from 0 (black) to 1 (white)."""
    parts = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    r, g, b = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@register.filter
def readable_on(value: object) -> str:
    """Black or white, whichever contrasts more with the colour; one of them always passes AA."""
    light = luminance(safe_color(value))
    return "#ffffff" if 1.05 / (light + 0.05) >= (light + 0.05) / 0.05 else "#000000"
