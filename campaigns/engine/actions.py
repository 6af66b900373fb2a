"""What each action of a ladder takes as parameters, and who must not be subjected to it without a person. Pure."""

from collections.abc import Mapping
from typing import Any, Protocol

from django.utils.translation import gettext as _

from campaigns.models.ladder import Action
from customers.errors import SollecitoError

#: Action → parameter → required? Values are texts. What is not named here is refused.
PARAMS: dict[str, dict[str, bool]] = {
    Action.CALL_TASK.value: {"script": False},
    Action.NOTIFY_STAFF.value: {"notes": False},
    Action.LATE_FEE.value: {"regime": False, "on_payment": False},
    Action.INTEREST.value: {"regime": False, "on_payment": False},
    Action.TAG.value: {"tag": True},
    Action.HAND_TO_AGENCY.value: {"agency": False},
    Action.START_LADDER.value: {"ladder": True},
}
#: Parameter → the values it may have; others take any text.
CHOICES: dict[str, tuple[str, ...]] = {"regime": ("auto", "eu", "uk"), "on_payment": ("keep", "forgive")}
#: Longest texts, as the columns they end up in are.
LENGTHS = {"tag": 50, "agency": 120, "ladder": 60, "script": 2000, "notes": 2000}

#: Money is asked for, taken away or written off.
_MONEY = frozenset(
    {
        Action.RETRY_NOW.value,
        Action.LATE_FEE.value,
        Action.INTEREST.value,
        Action.SUSPEND_SERVICE.value,
        Action.CANCEL_SUBSCRIPTION.value,
        Action.MARK_UNCOLLECTIBLE.value,
        Action.WRITE_OFF.value,
        Action.HAND_TO_AGENCY.value,
    }
)
#: What presses: not on a vulnerable customer unless a person decides.
_PRESSURE = _MONEY - {Action.RETRY_NOW.value, Action.MARK_UNCOLLECTIBLE.value, Action.WRITE_OFF.value}
#: End actions that leave the debt alive: the case is not lost by them.
GOES_ON = frozenset({Action.HAND_TO_AGENCY.value, Action.START_LADDER.value})


def check_params(action: str, params: Mapping[str, Any], place: str) -> None:
    """Refuses parameters the action does not know, lacks, or could not use. Raises SollecitoError naming `place`."""
    known = PARAMS.get(action, {})
    for name, value in params.items():
        if name not in known:
            raise SollecitoError(
                _("%(place)s: “%(action)s” takes no “%(name)s”.") % {"place": place, "action": action, "name": name},
                code="bad_params",
            )
        allowed = CHOICES.get(name)
        if not isinstance(value, str) or not value.strip() or (allowed and value not in allowed):
            raise SollecitoError(
                _("%(place)s: “%(name)s” is %(wanted)s.")
                % {"place": place, "name": name, "wanted": _(" or ").join(allowed) if allowed else _("a text")},
                code="bad_params",
            )
        if len(value) > LENGTHS.get(name, 255):
            raise SollecitoError(
                _("%(place)s: “%(name)s” has at most %(most)s characters.")
                % {"place": place, "name": name, "most": LENGTHS.get(name, 255)},
                code="bad_params",
            )
    for name, needed in known.items():
        if needed and name not in params:
            raise SollecitoError(
                _("%(place)s: “%(action)s” needs “%(name)s”.") % {"place": place, "action": action, "name": name},
                code="bad_params",
            )


class Excluded(Protocol):
    """What forbids acts on a customer: a guard's snapshot, or the customer's own row."""

    @property
    def legal_hold(self) -> bool: ...
    @property
    def bankrupt(self) -> bool: ...
    @property
    def no_dunning(self) -> bool: ...
    @property
    def vulnerable(self) -> bool: ...


def forbidden(action: str, guard: Excluded) -> tuple[str, str]:
    """The rule that keeps an action other than a message from a customer, and why; empty texts if none does."""
    if action in _MONEY:
        if guard.legal_hold:
            return "customer.legal_hold", _("The customer is under a legal hold.")
        if guard.bankrupt:
            return "customer.bankrupt", _("The customer is insolvent: claims go to the administrator.")
        if guard.no_dunning:
            return "customer.no_dunning", _("The customer is excluded from dunning.")
        if guard.vulnerable and action in _PRESSURE:
            return "customer.vulnerable", _("The customer is vulnerable: a person decides.")
    return "", ""
