"""Colours of the states of cases, messages and tasks, and anchors, the same on every list and page."""

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

CASE = {
    "open": "info",
    "paused": "warning",
    "promised": "primary",
    "in_plan": "primary",
    "disputed": "warning",
    "agency": "warning",
    "recovered": "success",
    "lost": "danger",
}
DECISION = {"done": "success", "deferred": "warning", "blocked": "danger"}
MESSAGE = {
    "queued": "info",
    "sending": "info",
    "to_print": "info",
    "sent": "primary",
    "delivered": "success",
    "opened": "success",
    "clicked": "success",
    "bounced": "danger",
    "complained": "danger",
    "failed": "danger",
    "ambiguous": "warning",
}
TASK = {"open": "info", "done": "success"}
VERSION = {"draft": "warning", "published": "success"}


def link(route: str, pk: int, text: object) -> SafeString:
    """An anchor to a row's page; `route` is app_model."""
    return format_html('<a class="sol-link" href="{}">{}</a>', reverse(f"admin:{route}_change", args=[pk]), text)
