"""Collection agencies: handing cases over and back, what comes in meanwhile, and the package that leaves the house."""

from campaigns.agencies.package import Package, package_make
from campaigns.agencies.recoveries import handovers_follow
from campaigns.agencies.services import (
    cases_hand_over,
    cases_recall,
    hand_over_refusals,
    handover_name,
    handovers_open,
)

__all__ = [
    "Package",
    "cases_hand_over",
    "cases_recall",
    "hand_over_refusals",
    "handover_name",
    "handovers_follow",
    "handovers_open",
    "package_make",
]
