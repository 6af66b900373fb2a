"""Owns what card networks tell of renewed cards, and banks that change their mind."""

from __future__ import annotations

from typing import Any

from .methods import set_issuer
from .store import Obj
from .world import World, copy


def changed_by_network(world: World, method_id: str, changes: dict[str, Any]) -> Obj:
    """The card network renewed a card: new expiry, perhaps a new number, perhaps a bank that behaves otherwise."""
    method = world.get("payment_method", method_id, in_path=True)
    before = copy(method)
    known = world.secret(method_id)
    card = method.get("card")
    if card is not None:
        card["exp_year"] = int(changes.get("exp_year", card["exp_year"] + 3))
        card["exp_month"] = int(changes.get("exp_month", card["exp_month"]))
    if card is not None and changes.get("number"):
        number = str(changes["number"])
        card["last4"], card["fingerprint"] = number[-4:], world.token("card", number, "", length=16)
        known["number"] = number
    if "issuer_profile" in changes:
        method["metadata"]["issuer_profile"] = str(changes["issuer_profile"])
        set_issuer(world, method)
    world.emit("payment_method.automatically_updated", method, before)
    return method
