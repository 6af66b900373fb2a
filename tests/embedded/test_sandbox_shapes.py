"""The sandbox's objects have the shapes of Stripe's: its published fixtures and the annotations of its client."""

import json
import sys
import types
import typing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import stripe

from dunning_site.embedded.stripe_sandbox import SandboxServer
from dunning_site.embedded.stripe_sandbox.routes import ROUTES

from .conftest import Control

FIXTURES = json.loads((Path(__file__).parents[1] / "data" / "stripe-fixtures3.json").read_text())["resources"]
KINDS = {
    "account": stripe.Account,
    "balance": stripe.Balance,
    "balance_transaction": stripe.BalanceTransaction,
    "charge": stripe.Charge,
    "customer": stripe.Customer,
    "dispute": stripe.Dispute,
    "event": stripe.Event,
    "invoice": stripe.Invoice,
    "invoice_payment": stripe.InvoicePayment,
    "invoiceitem": stripe.InvoiceItem,
    "payment_intent": stripe.PaymentIntent,
    "payment_method": stripe.PaymentMethod,
    "price": stripe.Price,
    "product": stripe.Product,
    "refund": stripe.Refund,
    "setup_intent": stripe.SetupIntent,
    "subscription": stripe.Subscription,
    "webhook_endpoint": stripe.WebhookEndpoint,
}
# Keys of the fixtures that Stripe's answers have only when expanded, or have no longer.
NOT_BY_DEFAULT = {"charge": {"refunds"}, "invoice": {"subscription"}, "balance": {"connect_reserved"}}


@pytest.fixture
def objects(sandbox: SandboxServer, client: stripe.StripeClient, control: Control, failing: Any) -> dict[str, Any]:
    """All objects of a world in which everything has happened once, by kind."""
    customer, good, invoice = failing()
    client.v1.invoices.pay(invoice.id, {"payment_method": good.id})
    failing("pm_card_authenticationRequired")
    charges = [charge for charge in client.v1.charges.list({"customer": customer.id}).data if charge.paid]
    client.v1.refunds.create({"charge": charges[0].id, "amount": 500})
    control("disputes", charge=charges[1].id)
    client.v1.setup_intents.create({"customer": customer.id, "payment_method": "pm_card_visa", "confirm": True})
    client.v1.invoice_items.create({"customer": customer.id, "amount": 300, "currency": "eur"})
    client.v1.webhook_endpoints.create({"url": "http://127.0.0.1:9/hook", "enabled_events": ["*"]})
    found: dict[str, list[Any]] = {kind: list(table.all()) for kind, table in sandbox.world.tables.items()}
    found["account"] = [json.loads(str(client.v1.accounts.retrieve_current()))]
    found["balance"] = [json.loads(str(client.v1.balance.retrieve()))]
    found["event"] = control("events")["data"]
    return found


def problems(annotation: Any, value: Any, where: str) -> list[str]:
    """What does not fit between a value and its annotation, all the way down."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is Any or isinstance(annotation, (typing.ForwardRef, str)):
        return []
    if origin in (typing.Union, types.UnionType):
        found = [problems(each, value, where) for each in arguments]
        return [] if any(not each for each in found) else max(found, key=lambda each: bool(each))
    if origin is typing.Literal:
        return [] if value in arguments else [f"{where}: {value!r} is none of {arguments}"]
    if annotation is type(None):
        return [] if value is None else [f"{where}: {value!r} is not null"]
    if origin in (list, typing.List):  # noqa: UP006
        if not isinstance(value, list):
            return [f"{where}: {value!r} is no list"]
        return [issue for entry in value for issue in problems(arguments[0], entry, f"{where}[]")]
    if origin is not None or annotation in (stripe.StripeObject, stripe.ListObject, dict):
        return [] if isinstance(value, dict) else [f"{where}: {value!r} is no object"]
    if annotation is Decimal:
        return [] if isinstance(value, str) else [f"{where}: a decimal is written as a string, not {value!r}"]
    if isinstance(annotation, type) and issubclass(annotation, stripe.StripeObject):
        return misfits(annotation, value, where)
    if annotation is int and isinstance(value, bool):
        return [f"{where}: {value!r} is no integer"]
    return [] if isinstance(value, annotation) else [f"{where}: {value!r} is no {annotation}"]


def misfits(cls: type, value: Any, where: str) -> list[str]:
    """What does not fit between an object and its class: missing, unknown and wrong properties."""
    if not isinstance(value, dict):
        return [f"{where}: {value!r} is no object"]
    module = vars(sys.modules[cls.__module__])
    out = []
    for name, annotation in cls.__annotations__.items():
        if typing.get_origin(annotation) is typing.ClassVar:
            continue
        optional = type(None) in typing.get_args(annotation)
        if name in value:
            hint = _resolved(annotation, module)
            out += problems(hint, value[name], f"{where}.{name}")
        elif not optional:
            out.append(f"{where}.{name} is missing")
    out += [f"{where}.{name} is not known to Stripe" for name in value if name not in cls.__annotations__]
    return out


def _resolved(annotation: Any, module: dict[str, Any]) -> Any:
    """The annotation with names of sibling classes looked up; unknown ones stay and pass."""
    if isinstance(annotation, typing.ForwardRef):
        found = module.get(annotation.__forward_arg__) or getattr(stripe, annotation.__forward_arg__, annotation)
        return found if isinstance(found, type) else annotation
    return annotation


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_objects_fit_the_annotations_of_the_client(objects: dict[str, Any], kind: str) -> None:
    assert objects[kind]
    for obj in objects[kind]:
        assert misfits(KINDS[kind], obj, kind) == []


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_objects_have_every_property_of_the_published_fixture(objects: dict[str, Any], kind: str) -> None:
    for obj in objects[kind]:
        assert set(FIXTURES[kind]) - set(obj) <= NOT_BY_DEFAULT.get(kind, set()) | _only_for(kind)


def _only_for(kind: str) -> set[str]:
    return {"source"} if kind == "charge" else set()


def test_nested_lines_and_items_fit_too(objects: dict[str, Any]) -> None:
    lines = [line for invoice in objects["invoice"] for line in invoice["lines"]["data"]]
    items = [item for subscription in objects["subscription"] for item in subscription["items"]["data"]]
    assert lines
    assert items
    for line in lines:
        assert misfits(stripe.InvoiceLineItem, line, "line") == []
    for item in items:
        assert misfits(stripe.SubscriptionItem, item, "item") == []


def test_the_check_of_shapes_can_fail() -> None:
    wrong = {"id": 1, "object": "refund", "amount": "2", "colour": "red"}
    found = misfits(stripe.Refund, wrong, "refund")
    assert "refund.currency is missing" in found
    assert "refund.colour is not known to Stripe" in found
    assert any(issue.startswith("refund.amount:") for issue in found)


def test_every_event_type_is_one_of_stripes(objects: dict[str, Any]) -> None:
    known = typing.get_args(stripe.Event.__annotations__["type"])
    assert {event["type"] for event in objects["event"]} <= set(known)


def test_every_call_of_the_table_has_its_own_path() -> None:
    shapes = [(route.method, route.pattern.pattern) for route in ROUTES]
    assert len(shapes) == len(set(shapes))
