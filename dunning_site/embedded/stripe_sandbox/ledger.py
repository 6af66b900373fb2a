"""Owns the judgement over real money: what was charged per invoice, and which invoices were charged twice."""

from __future__ import annotations

from typing import Any

from .world import World


def report(world: World) -> dict[str, Any]:
    """Charges and refunds per invoice in minor units, totals per currency, and double charges.

    An invoice is double-charged when what was charged and not given back exceeds its total, or when more than one
    of its successful charges of all that was left was not given back in full; parts may be several.
    """
    invoices: dict[str, dict[str, Any]] = {}
    totals: dict[str, dict[str, int]] = {}
    for entry in world.ledger:
        total = totals.setdefault(entry["currency"], {"charged": 0, "refunded": 0, "disputed": 0})
        column = {"charge": "charged", "refund": "refunded"}.get(entry["kind"], "disputed")
        total[column] += entry["amount"] if column == "charged" else -entry["amount"]
        if entry["invoice"] is None:
            continue
        row = invoices.setdefault(
            entry["invoice"],
            {
                "currency": entry["currency"],
                "customer": entry["customer"],
                "charged": 0,
                "refunded": 0,
                "charges": {},
                "parts": [],
            },
        )
        if entry["kind"] == "charge":
            row["charged"] += entry["amount"]
            row["charges"][entry["charge"]] = entry["amount"]
            if entry.get("part"):
                row["parts"].append(entry["charge"])
        elif entry["kind"] == "refund":
            row["refunded"] -= entry["amount"]
            row["charges"][entry["charge"]] += entry["amount"]
    doubles = []
    for invoice_id, row in invoices.items():
        invoice = world.tables["invoice"].objects.get(invoice_id)
        row["amount_due"] = invoice["amount_due"] if invoice else 0
        row["status"] = invoice["status"] if invoice else None
        kept = [left for charge, left in row["charges"].items() if left > 0 and charge not in row["parts"]]
        if row["charged"] - row["refunded"] > row["amount_due"] or len(kept) > 1:
            doubles.append(invoice_id)
    attempts = len(world.tables["charge"])
    return {
        "invoices": invoices,
        "totals": totals,
        "double_charges": doubles,
        "charges_succeeded": sum(entry["kind"] == "charge" for entry in world.ledger),
        "charges_attempted": attempts,
        "entries": world.ledger,
    }
