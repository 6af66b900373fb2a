"""The back office for collecting: cases, tasks, messages, ladders and templates."""

from campaigns.admin import (
    cases,
    customer_sections,
    inbound,
    ladders,
    letters,
    messages,
    segments,
    tasks,
    templates,
)

__all__ = [
    "cases",
    "customer_sections",
    "inbound",
    "ladders",
    "letters",
    "messages",
    "segments",
    "tasks",
    "templates",
]
