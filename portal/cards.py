"""Owns a new card: the setup intent behind the form, and what follows once the customer has confirmed it."""

import logging
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from billing.gateways import stripe_cards
from billing.gateways.base import JSON, ErrorKind, GatewayError
from billing.ingest.facts.methods import method_values
from billing.models import InvoiceStatus, PaymentMethod, Subscription, SubscriptionStatus
from billing.signals import announce_facts_changed
from customers.errors import SollecitoError
from customers.log import Entry, record
from customers.models import ActorKind, Customer, Direction
from customers.services import customers_reassess
from portal.account import processor_sources, read_account
from portal.checkout import checkout_claim, checkout_run
from portal.models import Checkout, PortalLink

log = logging.getLogger(__name__)


def can_store_card(customer: Customer) -> bool:
    """Whether the customer lives at a processor that can keep a card."""
    return customer.external_id is not None and customer.source in processor_sources()


def card_begin(*, link: PortalLink) -> str:
    """Begins to store a new card; returns the client secret for the browser.

    Raises SollecitoError where the customer is unknown to any processor, GatewayError where it does not answer.
    """
    customer = link.customer
    if customer.external_id is None or not can_store_card(customer):
        raise SollecitoError("This customer has no account at a processor.", code="no_processor")
    intent = stripe_cards.setup_intent_create(
        customer_external_id=customer.external_id, metadata={"portal_link": str(link.pk)}
    )
    return str(intent["client_secret"])


def card_finish(*, link: PortalLink, setup_intent_id: str, now: datetime, language: str) -> Checkout:
    """Takes over a confirmed card and charges every open invoice with it, once per setup intent.

    The intent is read from the processor: what the browser says is not believed. Raises SollecitoError
    (`foreign_intent`, `not_confirmed`) and GatewayError.
    """
    known = Checkout.objects.filter(link=link, key=setup_intent_id).first()
    if known is not None and known.finished_at is not None:
        return known
    method_json = _confirmed_method(link.customer, setup_intent_id)
    account = read_account(link=link, now=now, language=language)
    checkout, mine = checkout_claim(
        link=link,
        key=setup_intent_id,
        kind=Checkout.Kind.NEW_METHOD,
        invoice_ids=[item.id for item in account.payable],
        now=now,
    )
    if not mine:
        return checkout
    method = _store(link, method_json, now)
    _make_default_at_processor(link, method, setup_intent_id)
    checkout_run(checkout=checkout, link=link, payment_method_id=method.pk, now=now)
    return checkout


def _confirmed_method(customer: Customer, setup_intent_id: str) -> JSON:
    try:
        intent = stripe_cards.setup_intent_retrieve(setup_intent_id=setup_intent_id)
    except GatewayError as error:
        if error.kind in (ErrorKind.NOT_FOUND, ErrorKind.INVALID):
            raise SollecitoError("There is no such setup intent.", code="foreign_intent") from error
        raise
    if customer.external_id is None or intent.get("customer") != customer.external_id:
        log.warning("portal: setup intent %s is not customer %s's", setup_intent_id, customer.pk)
        raise SollecitoError("This setup intent belongs to somebody else.", code="foreign_intent")
    method = intent.get("payment_method")
    if intent.get("status") != "succeeded" or not isinstance(method, dict):
        raise SollecitoError("The card was not confirmed.", code="not_confirmed")
    return method


def _store(link: PortalLink, method_json: JSON, now: datetime) -> PaymentMethod:
    """The card as our fact, default from now on. The webhook that tells of it later finds it written."""
    customer = link.customer
    values = method_values(method_json) | {"customer": customer, "is_default": True, "detached_at": None}
    with transaction.atomic():
        # The customer's row first, as everywhere: see billing.locks.
        customers_reassess([customer.pk], now)
        PaymentMethod.objects.filter(customer=customer, held_as="", is_default=True).update(is_default=False)
        method, _made = PaymentMethod.objects.update_or_create(
            source=customer.source,
            external_id=method_json["id"],
            defaults=values,
            create_defaults=values | {"attached_at": now},
        )
        record(
            Entry(
                customer_id=customer.pk,
                at=now,
                kind="portal.card_updated",
                summary=f"Entered a new card on the payment page: {method}.",
                direction=Direction.IN,
                actor_kind=ActorKind.CUSTOMER,
                subject=f"payment_method:{method.pk}",
                key=f"portal.card_updated:{customer.source}:{method.external_id}",
            )
        )
        announce_facts_changed([customer.pk])
    return method


def _make_default_at_processor(link: PortalLink, method: PaymentMethod, setup_intent_id: str) -> None:
    """Renewals take the new card, too. A failure here must not keep the customer from paying now."""
    customer = link.customer
    behind = Q(status__in=[SubscriptionStatus.PAST_DUE, SubscriptionStatus.UNPAID, SubscriptionStatus.INCOMPLETE])
    owing = Q(invoices__status=InvoiceStatus.OPEN, invoices__balance__gt=0)
    # Those of a duplicate merged into this customer are left out (held_as): the processor takes no other customer's
    # card for them.
    subscriptions = Subscription.objects.filter(
        behind | owing, customer=customer, source=customer.source, held_as="", external_id__isnull=False, ended_at=None
    ).distinct()
    try:
        stripe_cards.customer_set_default_payment_method(
            customer_external_id=customer.external_id or "",
            payment_method_external_id=method.external_id or "",
            idempotency_key=f"portal-{setup_intent_id}-customer",
        )
        for subscription in subscriptions:
            stripe_cards.subscription_set_default_payment_method(
                subscription_external_id=subscription.external_id or "",
                payment_method_external_id=method.external_id or "",
                idempotency_key=f"portal-{setup_intent_id}-{subscription.external_id}",
            )
    except GatewayError as error:
        log.error("portal: card of setup intent %s not made default: %s", setup_intent_id, error.message)
