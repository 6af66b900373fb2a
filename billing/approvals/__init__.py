"""Four eyes: acts that give money up are done at once up to a limit, and wait for a second person beyond it.

`act_or_request` is the front door for pages and bulk acts; `act_register` makes an act known.
"""

from billing.approvals.acts import Act, act_named, act_register
from billing.approvals.deciders import approvals_waiting
from billing.approvals.limits import limit_of, limits_sync, within_limit
from billing.approvals.services import (
    Outcome,
    Proposal,
    act_or_request,
    approval_decide,
    approval_request,
    approval_withdraw,
)

__all__ = [
    "Act",
    "Outcome",
    "Proposal",
    "act_named",
    "act_or_request",
    "act_register",
    "approval_decide",
    "approval_request",
    "approval_withdraw",
    "approvals_waiting",
    "limit_of",
    "limits_sync",
    "within_limit",
]
