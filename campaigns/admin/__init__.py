"""The back office for collecting: cases, tasks, messages, letters, ladders, simulations and templates."""

from campaigns.admin import (
    cases,
    customer_sections,
    experiments,
    inbound,
    ladder_moves,
    ladder_versions,
    ladders,
    letters,
    messages,
    own_ladder,
    policies,
    segments,
    simulation_form,
    simulations,
    tasks,
    templates,
)

__all__ = [
    "cases",
    "customer_sections",
    "experiments",
    "inbound",
    "ladder_moves",
    "ladder_versions",
    "ladders",
    "letters",
    "messages",
    "own_ladder",
    "policies",
    "segments",
    "simulation_form",
    "simulations",
    "tasks",
    "templates",
]
