"""Owns the declared list of variables a template may use: their names, types and meaning, one TypedDict each.

The TypedDicts are the single source: `declared_variables()` (for the list beside the editor), the check at
save and the context builder's types all come from them. To offer a new variable add a field here, fill it in
`examples.example_context` and wherever the context of a real message is built.
"""

from __future__ import annotations

import datetime
import types
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, TypedDict, Union, get_args, get_origin, get_type_hints, is_typeddict

from django.utils.translation import gettext_lazy as _


class Customer(TypedDict):
    """Who the mail is about."""

    name: Annotated[str, _("Company or full name")]
    first_name: Annotated[str, _("First name of the contact; may be empty")]
    contact_name: Annotated[str, _("Full name of the person we write to; may be empty")]
    kind: Annotated[str, _("business or consumer")]
    language: Annotated[str, _("Language the customer prefers, such as it")]
    country: Annotated[str, _("Country code, such as IT; may be empty")]
    late_payment_law: Annotated[
        str, _("Law on late payment between businesses in their country; empty for consumers and where none is known")
    ]


class Brand(TypedDict):
    """On whose behalf we write."""

    name: Annotated[str, _("Name of the product or company")]
    support_email: Annotated[str, _("Where a person answers")]
    support_url: Annotated[str, _("Help page; may be empty")]
    address: Annotated[str, _("Postal address for the footer; may be empty")]
    color: Annotated[str, _("Colour of the button, such as #1f5eff")]
    logo_url: Annotated[str, _("Logo on https; may be empty")]


class Sender(TypedDict):
    """Who signs."""

    name: Annotated[str, _("Name under the mail, a person's or a team's")]
    email: Annotated[str, _("Address the mail comes from")]


class Invoice(TypedDict):
    """One open invoice (in a thank-you: one that has just been paid)."""

    number: Annotated[str, _("Invoice number")]
    amount: Annotated[int, _("Original amount in minor units; write it with | money: invoice.currency")]
    balance: Annotated[int, _("Still to pay in minor units; write it with | money: invoice.currency")]
    currency: Annotated[str, _("Currency code, such as EUR")]
    due_on: Annotated[datetime.date | None, _("Due date; write it with | local_date")]
    failed_on: Annotated[datetime.date | None, _("Day the charge first failed, if it did")]
    days_overdue: Annotated[int, _("Whole days past the due date, 0 when not past it")]
    description: Annotated[str, _("What it is for; may be empty")]
    pay_url: Annotated[str, _("Page to pay this invoice")]
    pdf_url: Annotated[str, _("The invoice as PDF; may be empty")]
    decline_reason: Annotated[str, _("Why the last charge failed, in plain words; may be empty")]


class Balance(TypedDict):
    """What is owed in one currency."""

    amount: Annotated[int, _("Sum in minor units; write it with | money: balance.currency")]
    currency: Annotated[str, _("Currency code")]


class Fees(TypedDict):
    """Late fees and interest that are open in one currency. They are no part of an invoice's balance."""

    currency: Annotated[str, _("Currency code")]
    interest: Annotated[int, _("Statutory interest so far in minor units; write it with | money: fee.currency")]
    fixed_sum: Annotated[int, _("Fixed sums for the cost of recovery in minor units")]
    amount: Annotated[int, _("Interest and fixed sums together, in minor units")]
    waived: Annotated[int, _("The part of it that is waived as soon as the invoice is paid, in minor units")]
    law: Annotated[str, _("The law they are asked under; may be empty")]


class Decline(TypedDict):
    """Why the last charge failed."""

    category: Annotated[str, _("Category, such as insufficient_funds")]
    message: Annotated[str, _("The reason in plain words, in the mail's language")]
    asks_for: Annotated[str, _("What helps: new_card, funds, authenticate, contact_bank or nothing")]


class Links(TypedDict):
    """The customer's personal pages."""

    portal: Annotated[str, _("Everything owed on one page")]
    pay: Annotated[str, _("Pay now")]
    update_card: Annotated[str, _("Enter a new card")]
    preferences: Annotated[str, _("How and when we may write")]
    unsubscribe: Annotated[str, _("One click: no more mails of this kind")]


class Case(TypedDict):
    """Where the conversation stands."""

    step_number: Annotated[int, _("Number of this step, from 1")]
    days_overdue: Annotated[int, _("Whole days since the oldest invoice failed or fell due")]
    started_on: Annotated[datetime.date, _("Day the case was opened")]
    next_retry_on: Annotated[datetime.date | None, _("Day we try the card again, if we will")]


class Card(TypedDict):
    """The card on file."""

    brand: Annotated[str, _("Such as Visa")]
    last4: Annotated[str, _("Last four digits")]
    exp_month: Annotated[int, _("Month of expiry, 1 to 12")]
    exp_year: Annotated[int, _("Year of expiry, four digits")]
    expiry: Annotated[str, _("Month and year of expiry as on the card, such as 08/2027")]


class Subscription(TypedDict):
    """The subscription that is at stake."""

    plan_name: Annotated[str, _("Name of the plan")]
    ends_on: Annotated[datetime.date | None, _("Day it will end if nothing is paid, if that is planned")]


class Promise(TypedDict):
    """The promise to pay that was made last and not kept."""

    amount: Annotated[int, _("Amount promised in minor units; write it with | money: promise.currency")]
    currency: Annotated[str, _("Currency code")]
    due_on: Annotated[datetime.date, _("Day by which it was promised")]


class Owner(TypedDict):
    """The member of staff who looks after the case."""

    name: Annotated[str, _("Full name")]
    email: Annotated[str, _("Address; may be empty")]


class Instalments(TypedDict):
    """Paying in parts, named where all at once seems to be too much and the brand offers plans."""

    count: Annotated[int, _("How many parts; others may be offered beside it")]
    amount: Annotated[int, _("The first part in minor units; write it with | money: instalments.currency")]
    currency: Annotated[str, _("Currency code")]
    url: Annotated[str, _("Where the customer chooses and agrees")]


class Payment(TypedDict):
    """The payment we thank for."""

    amount: Annotated[int, _("Amount received in minor units; write it with | money: payment.currency")]
    currency: Annotated[str, _("Currency code")]
    paid_on: Annotated[datetime.date, _("Day it was received")]


class MailContext(TypedDict):
    """All a template may use. Parts that can be absent are None and must be guarded with {% if %}."""

    language: Annotated[str, _("Language this text is written in")]
    customer: Annotated[Customer, _("Who the mail is about")]
    brand: Annotated[Brand, _("On whose behalf we write")]
    sender: Annotated[Sender, _("Who signs")]
    invoices: Annotated[list[Invoice], _("Open invoices, oldest first (in a thank-you: those just paid)")]
    balances: Annotated[
        list[Balance], _("What is owed, one line per currency; all of it: {{ balances | money_list }}")
    ]
    fees: Annotated[list[Fees], _("Open late fees and interest, one line per currency; empty when there are none")]
    totals: Annotated[
        list[Balance],
        _("What is owed with late fees, without what is waived on payment: {{ totals | money_list }}"),
    ]
    oldest_invoice: Annotated[Invoice | None, _("The invoice open the longest")]
    decline: Annotated[Decline | None, _("Why the last charge failed, if one did")]
    card: Annotated[Card | None, _("The card on file, if there is one")]
    subscription: Annotated[Subscription | None, _("The subscription at stake, if there is one")]
    promise: Annotated[Promise | None, _("The promise to pay that was not kept, if there is one")]
    instalments: Annotated[
        Instalments | None,
        _("Paying in parts, if the amount seems to be the obstacle and a plan is offered to this customer"),
    ]
    owner: Annotated[Owner | None, _("The person on our side who looks after the case, if one does")]
    payment: Annotated[Payment | None, _("The payment we thank for")]
    links: Annotated[Links, _("The customer's personal pages")]
    case: Annotated[Case, _("Where the conversation stands")]


@dataclass(frozen=True, slots=True)
class Shape:
    """What is known of a value at save: its kind, its fields if it has any, its item if it is a list."""

    kind: str  # text, number, date, object, list
    fields: dict[str, Shape]
    item: Shape | None = None
    optional: bool = False
    description: Any = ""


_KINDS = {str: "text", int: "number", datetime.date: "date"}


def _shape(hint: Any, description: Any = "") -> Shape:
    if get_origin(hint) is Annotated:
        inner, description = get_args(hint)
        return _shape(inner, description)
    if get_origin(hint) in (Union, types.UnionType):
        (inner,) = [a for a in get_args(hint) if a is not type(None)]
        shape = _shape(inner, description)
        return Shape(shape.kind, shape.fields, shape.item, True, description)
    if get_origin(hint) is list:
        (inner,) = get_args(hint)
        return Shape("list", {}, _shape(inner), False, description)
    if is_typeddict(hint):
        hints = get_type_hints(hint, include_extras=True)
        return Shape("object", {name: _shape(h) for name, h in hints.items()}, None, False, description)
    return Shape(_KINDS[hint], {}, None, False, description)


@lru_cache(maxsize=1)
def root_shape() -> Shape:
    """The shape of the whole context."""
    return _shape(MailContext)


@dataclass(frozen=True, slots=True)
class Variable:
    """One line of the list beside the editor; `name` is what one writes between {{ and }}."""

    name: str
    description: Any
    kind: str
    optional: bool
    example: str


def declared_variables() -> list[Variable]:
    """Every variable a template may use, with an example as it would be printed in an English mail.

    Fields of list items are named `invoices[].number`: they are reached through {% for %}.
    """
    from .examples import example_context  # the examples are typed by this module

    found: list[Variable] = []

    def walk(shape: Shape, name: str, value: Any) -> None:
        if name and shape.kind != "object":
            printed = "" if shape.kind == "list" or value is None else str(value)
            found.append(Variable(name, shape.description, shape.kind, shape.optional, printed))
        if shape.item is not None:
            walk_fields(shape.item, f"{name}[]", value[0] if value else {})
        walk_fields(shape, name, value or {})

    def walk_fields(shape: Shape, name: str, value: Any) -> None:
        for key, inner in shape.fields.items():
            walk(inner, f"{name}.{key}" if name else key, value.get(key))

    walk_fields(root_shape(), "", example_context("en"))
    return found
