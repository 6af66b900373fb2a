"""Owns the late answer to a bank debit, and what follows for its payment intent and its invoice."""

from __future__ import annotations

from . import collection
from .charges import answered
from .payments import ask_issuer, finished
from .store import Obj
from .world import World


def answer_debit(world: World, charge: Obj) -> None:
    """The bank pays a pending charge or returns it; an invoice that was settled meanwhile stays as it is."""
    intent = world.get("payment_intent", charge["payment_intent"])
    method = world.get("payment_method", charge["payment_method"])
    said = ask_issuer(
        world, method, charge["amount"], charge["currency"], off_session=True, authenticated=False, setup=False
    )
    answered(world, charge, method, said)
    finished(world, intent, method, charge)
    known = world.secret(intent["id"])
    invoice = world.find(known.get("invoice") or known.get("attached") or "")
    if invoice is None or invoice["status"] not in {"open", "uncollectible"}:
        return
    if charge["paid"] and known.get("attached"):
        collection.credit(world, intent)
    elif charge["paid"]:
        collection.settle(world, invoice)
    elif not known.get("attached"):
        collection.failed(world, invoice, action=False, reason=None, counted=True)
