"""Owns the example data that previews, the check at save and the tests render templates with."""

from __future__ import annotations

import datetime
from typing import Literal

from billing.fees import late_payment_law
from billing.plans.terms import split
from billing.retries.taxonomy import Category

from .reasons import decline_for
from .variables import Balance, Fees, Invoice, MailContext

Variant = Literal["usual", "bare", "many"]

_TODAY = datetime.date(2026, 3, 19)
#: Per language: customer, contact, country, currency, who signs, staff who looks after the case.
_PEOPLE = {
    "en": ("Harbour & Pine Studio Ltd", "Eleanor Marsh", "GB", "GBP", "Maya at Lumen", "Maya Collins"),
    "it": ("Officine Grafiche Rinaldi S.r.l.", "Chiara Rinaldi", "IT", "EUR", "Giulia di Lumen", "Giulia Ferri"),
    "fr": ("Ateliers Lefèvre & Fils SARL", "Camille Lefèvre", "FR", "EUR", "Élodie, Lumen", "Élodie Garnier"),
    "pl": ("Pracownia Źródło Sp. z o.o.", "Małgorzata Wiśniewska", "PL", "PLN", "Kasia z Lumen", "Katarzyna Zięba"),
    "de": ("Tischlerei Grünewald GmbH", "Jürgen Weiß", "DE", "EUR", "Anna von Lumen", "Anna Schröder"),
    "es": ("Librería Núñez e Hijos S.L.", "Begoña Núñez", "ES", "EUR", "Lucía de Lumen", "Lucía Ibáñez"),
}
_PLANS = {
    "en": ("Team plan", "Team plan, March 2026"),
    "it": ("piano Team", "Piano Team, marzo 2026"),
    "fr": ("formule Équipe", "Formule Équipe, mars 2026"),
    "pl": ("plan Zespół", "Plan Zespół, marzec 2026"),
    "de": ("Team-Tarif", "Team-Tarif, März 2026"),
    "es": ("plan Equipo", "Plan Equipo, marzo de 2026"),
}
#: As long as the real ones, so that a text message is counted as it will be.
_PAGES = "https://pay.example.com/p/Zq3uX0c1vJm8TtKf5bWnYh2LrDgEs7aPoQi4kUw9MxB"


def _invoice(number: int, balance: int, currency: str, description: str, reason: str, *, days: int) -> Invoice:
    due = _TODAY - datetime.timedelta(days=days)
    return {
        "number": f"LUM-2026-{number:04}",
        "amount": balance,
        "balance": balance,
        "currency": currency,
        "due_on": due,
        "failed_on": due,
        "days_overdue": days,
        "description": description,
        "pay_url": f"{_PAGES}/{number}",
        "pdf_url": f"{_PAGES}/{number}.pdf",
        "decline_reason": reason,
    }


def example_context(
    language: str = "en", *, category: str = "insufficient_funds", variant: Variant = "usual"
) -> MailContext:
    """Believable data for a mail in `language`, as if the last charge had failed for `category`.

    `bare` leaves out all that may be absent (what an imported invoice of an unnamed contact has); `many` has
    three invoices in two currencies, late fees and long names.
    """
    key = language if language in _PEOPLE else "en"
    name, person, country, currency, sender, owner = _PEOPLE[key]
    plan, description = _PLANS[key]
    decline = decline_for(category, language)
    oldest = _invoice(412, 14_900, currency, description, decline["message"], days=3)
    invoices = [oldest]
    balances: list[Balance] = [{"amount": 14_900, "currency": currency}]
    law = late_payment_law(country=country, kind="business")
    fees: list[Fees] = []
    totals = balances
    if variant == "many":
        name = "Vereinigte Elektronikwerkstätten Mecklenburg-Vorpommern Beteiligungsgesellschaft mbH & Co. KG"
        person = "Maximiliane-Alexandra von Hohenfels-Wąsowicz"
        oldest = _invoice(388, 1_284_950, currency, f"{description}, 40 + 12", decline["message"], days=33)
        invoices = [
            oldest,
            invoices[0],
            _invoice(419, 240_000, "JPY", "", decline["message"], days=1),
        ]
        balances = [{"amount": 1_299_850, "currency": currency}, {"amount": 240_000, "currency": "JPY"}]
        interest, fixed = 11_435, 4_000
        fees = [
            {
                "currency": currency,
                "interest": interest,
                "fixed_sum": fixed,
                "amount": interest + fixed,
                "waived": fixed,
                "law": law,
            },
            {"currency": "JPY", "interest": 66, "fixed_sum": 0, "amount": 66, "waived": 0, "law": law},
        ]
        totals = [{"amount": 1_299_850 + interest, "currency": currency}, {"amount": 240_066, "currency": "JPY"}]
    context: MailContext = {
        "language": language,
        "customer": {
            "name": name,
            "first_name": person.split()[0],
            "contact_name": person,
            "kind": "business",
            "language": language,
            "country": country,
            "late_payment_law": law,
        },
        "brand": {
            "name": "Lumen",
            "support_email": "billing@lumen.example",
            "support_url": "https://lumen.example/help",
            "address": "Lumen Software Ltd, 14 Wharf Road, Bristol BS1 6XW",
            "color": "#0b6e69",
            "logo_url": "",
        },
        "sender": {"name": sender, "email": "billing@lumen.example"},
        "invoices": invoices,
        "balances": balances,
        "fees": fees,
        "totals": totals,
        "oldest_invoice": oldest,
        "decline": decline,
        "card": {"brand": "Visa", "last4": "4242", "exp_month": 8, "exp_year": 2027, "expiry": "08/2027"},
        "subscription": {"plan_name": plan, "ends_on": _TODAY + datetime.timedelta(days=18)},
        "promise": {"amount": 14_900, "currency": currency, "due_on": _TODAY - datetime.timedelta(days=1)},
        "instalments": None,
        "owner": {"name": owner, "email": "billing@lumen.example"},
        "payment": {"amount": 14_900, "currency": currency, "paid_on": _TODAY},
        "links": {
            "portal": _PAGES,
            "pay": f"{_PAGES}/pay",
            "update_card": f"{_PAGES}/card",
            "preferences": f"{_PAGES}/preferences",
            "unsubscribe": f"{_PAGES}/unsubscribe",
        },
        "case": {
            "step_number": 2,
            "days_overdue": oldest["days_overdue"],
            "started_on": _TODAY - datetime.timedelta(days=oldest["days_overdue"]),
            "next_retry_on": _TODAY + datetime.timedelta(days=2),
        },
    }
    if category in (Category.INSUFFICIENT_FUNDS, Category.LIMIT_VELOCITY) and variant != "bare":
        context["instalments"] = {
            "count": 3,
            "amount": split(balances[0]["amount"], 3)[0],
            "currency": currency,
            "url": f"{_PAGES}#parts",
        }
    if variant == "bare":
        context["customer"]["first_name"] = context["customer"]["contact_name"] = ""
        context["customer"]["country"] = context["customer"]["late_payment_law"] = ""
        for part in ("support_url", "address", "logo_url"):
            context["brand"][part] = ""
        bare = context["invoices"][0]
        bare["due_on"] = bare["failed_on"] = None
        bare["description"] = bare["pdf_url"] = bare["decline_reason"] = ""
        context["decline"] = context["card"] = context["subscription"] = None
        context["payment"] = context["oldest_invoice"] = context["promise"] = context["owner"] = None
        context["case"]["next_retry_on"] = None
    return context
