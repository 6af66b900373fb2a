"""Results are read off the right payment of an invoice."""

from billing.gateways.base import JSON
from billing.gateways.stripe_charges import paid_invoice


def test_a_whole_after_a_part_is_told_by_the_invoices_own_payment() -> None:
    """The part's intent is newer than the invoice's own: taken for the charge, 60 would be booked as the 40 before."""

    def paid(intent: str, charge: str, amount: int, created: int, *, default: bool) -> JSON:
        return {
            "is_default": default,
            "payment": {
                "payment_intent": {
                    "id": intent, "status": "succeeded", "latest_charge": charge, "amount_received": amount,
                    "created": created, "payment_method": "pm_1",
                }
            },
        }  # fmt: skip

    payments = [
        paid("pi_own", "ch_rest", 6000, 100, default=True),
        paid("pi_part", "ch_part", 4000, 200, default=False),
    ]
    for order in (payments, payments[::-1]):
        result = paid_invoice({"status": "paid", "currency": "eur", "payments": {"data": order}})
        assert (result.charge_id, result.amount) == ("ch_rest", 6000)
