"""Owns asking the processor for what a unit of facts needs, outside any transaction, and trying again with it."""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from django.db import transaction

from billing.gateways import JSON, ErrorKind, Gateway, GatewayError, gateway_for
from billing.ingest.facts import NeedsRead, Unit, finish
from billing.models import ProcessorAccount

logger = logging.getLogger(__name__)

#: A unit asks for a parent, its parent, and charges; more than this is a loop.
MAX_READS = 200
_product_cache: dict[tuple[str, str], JSON | None] = {}


def run_unit(
    account: ProcessorAccount,
    now: Any,
    work: Callable[[Unit], None],
    *,
    fetched: dict[tuple[str, str], Any] | None = None,
) -> tuple[Unit, list[tuple[str, str]]]:
    """Runs `work` and the follow-up in one transaction, reading in between whatever it asks for.

    Returns the unit and what could not be read just now but was optional: the facts are in, to be completed later.
    Raises GatewayError where something indispensable cannot be read.
    """
    known: dict[tuple[str, str], Any] = dict(fetched or {})
    put_off: list[tuple[str, str]] = []
    for _turn in range(MAX_READS):
        unit = Unit(account=account, now=now, fetched=known)
        try:
            with transaction.atomic():
                work(unit)
                finish(unit)
            return unit, put_off
        except NeedsRead as need:
            try:
                known[need.key] = fetch(gateway_for(account.code), *need.key)
            except GatewayError as error:
                if not need.optional or error.permanent:
                    raise
                logger.warning("put off reading %s %s: %s", *need.key, error)
                known[need.key] = None
                put_off.append(need.key)
    raise GatewayError("Facts kept asking for more objects.", kind=ErrorKind.INVALID)


def prefetch(source: str, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Any]:
    """What facts are known to ask for, read beforehand so that their transaction need not start over.

    What cannot be read is left out: facts will ask for it themselves, and know whether they can do without.
    """
    known: dict[tuple[str, str], Any] = {}
    for key in keys:
        try:
            known[key] = fetch(gateway_for(source), *key)
        except GatewayError as error:
            logger.info("could not read %s %s beforehand: %s", *key, error)
            break
    return known


def fetch(gateway: Gateway, kind: str, external_id: str) -> Any:
    """One object, or one of the composites facts ask for; None where the processor has none. Raises GatewayError."""
    if kind == "charges_of":
        return _charges_of(gateway, external_id)
    if kind == "payments_of_intent":
        payment = {"type": "payment_intent", "payment_intent": external_id}
        return gateway.list_page("invoice_payment", payment=payment)[0]
    cached = (type(gateway).__name__, external_id)
    if kind == "product" and cached in _product_cache:
        return _product_cache[cached]
    try:
        obj = gateway.retrieve(kind, external_id)
    except GatewayError as error:
        if error.kind != ErrorKind.NOT_FOUND:
            raise
        return None
    if kind == "product":
        if len(_product_cache) > 1000:
            _product_cache.clear()
        _product_cache[cached] = obj
    return obj


def _charges_of(gateway: Gateway, invoice_id: str) -> JSON:
    """The invoice's payments and every charge made for them."""
    payments, _next = gateway.list_page("invoice_payment", invoice=invoice_id)
    charges: list[JSON] = []
    for payment in payments:
        intent = (payment.get("payment") or {}).get("payment_intent")
        if intent:
            cursor = None
            while True:
                page, cursor = gateway.list_page("charge", payment_intent=intent, cursor=cursor)
                charges += page
                if cursor is None:
                    break
    return {"payments": payments, "charges": charges}
