"""Puts the demo's company and its customers into the Stripe sandbox, through HTTP."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from dunning_site.demo.people import BASE_PRICE, PLANS, Person
from dunning_site.embedded.sandbox_control import SandboxControl

_NETWORKS = {"visa": "4", "mastercard": "5", "discover": "6"}
#: Plans a customer pays monthly, by name as the invoice shows it.
PLAN_NAMES = {
    "starter": "Nuvola Starter",
    "team": "Nuvola Team",
    "business": "Nuvola Business",
    "addon": "Nuvola Storage add-on",
}


@dataclass(frozen=True, slots=True)
class Account:
    """A person as the sandbox knows them."""

    person: Person
    customer: str
    payment_methods: tuple[str, ...]
    subscriptions: tuple[str, ...]


def card_number(serial: int, network: str = "visa") -> str:
    """A sixteen-digit number with a right check digit (ISO/IEC 7812), different for each serial."""
    digits = f"{_NETWORKS[network]}{serial:014d}"
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if position % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return f"{digits}{-total % 10}"


def build(sandbox: SandboxControl, people: list[Person], start: datetime, rng: Random) -> list[Account]:
    """Creates products, prices, customers with cards and running subscriptions as of `start`."""
    prices = _prices(sandbox)
    entries = [_entry(person, prices, start, rng) for person in people]
    made = sandbox.seed(customers=entries, events=False)["customers"]
    return [
        Account(
            person=person,
            customer=row["id"],
            payment_methods=tuple(row["payment_methods"]),
            subscriptions=tuple(row["subscriptions"]),
        )
        for person, row in zip(people, made, strict=True)
    ]


def _prices(sandbox: SandboxControl) -> dict[tuple[str, str, str], str]:
    plans = [*PLANS, "addon"]
    products = sandbox.seed(products=[{"name": PLAN_NAMES[plan]} for plan in plans])["products"]
    keys, entries = [], []
    for plan, product in zip(plans, products, strict=True):
        for currency, base in BASE_PRICE.items():
            for interval, months in (("month", 1), ("year", 10)):
                keys.append((plan, currency, interval))
                amount = base * PLANS[plan] * months if plan in PLANS else base // 2 * months
                entries.append(
                    {
                        "product": product,
                        "currency": currency,
                        "unit_amount": amount,
                        "recurring": {"interval": interval},
                    }
                )
    return dict(zip(keys, sandbox.seed(prices=entries)["prices"], strict=True))


def _entry(person: Person, prices: dict[tuple[str, str, str], str], start: datetime, rng: Random) -> dict[str, Any]:
    subscriptions = []
    for plan, interval in person.plans:
        # The current period began within the last month (or year), so that renewals spread over the days.
        days = rng.randrange(1, 30) if interval == "month" else rng.randrange(300, 364)
        began = start - timedelta(days=days, hours=rng.randrange(24), minutes=rng.randrange(60))
        entry = {"price": prices[plan, person.country.currency, interval], "started": int(began.timestamp())}
        if person.terms is not None:
            entry |= {"collection_method": "send_invoice", "days_until_due": person.terms}
        subscriptions.append(entry)
    card = _card(person, start, rng)
    return {
        "name": person.name,
        "email": person.email,
        "preferred_locales": [person.country.locale],
        **({"phone": person.phone} if person.phone else {}),
        "address": {"country": person.country.code, **dict(person.address)},
        "metadata": {
            "timezone": person.timezone,
            "kind": "business" if person.business else "consumer",
            "contact": person.contact,
        },
        "cards": [card] if person.terms is None else [],
        "subscriptions": subscriptions,
    }


def _card(person: Person, start: datetime, rng: Random) -> dict[str, Any]:
    network = rng.choices(list(_NETWORKS), [60, 35, 5])[0]
    metadata = {"issuer_country": person.country.code, "issuer_funding": rng.choice(["debit", "credit"])}
    expires = start + timedelta(days=rng.randrange(200, 1200))
    #: The bank begins to refuse at a day of its own, so that failures spread over the sixty days.
    since = str(int((start + timedelta(days=rng.randrange(0, 45))).timestamp()))
    match person.card:
        case "payday":
            # Poor by design: what is left a week after payday is less than the bill.
            metadata |= {"issuer_profile": "nsf_until_day", "issuer_days": str(rng.randrange(6, 16))}
            metadata["issuer_day"] = str(rng.choice([1, 1, 5, 10, 15, 25, 27, 28]))
        case "do_not_honor":
            metadata |= {"issuer_profile": "do_not_honor", "issuer_from": since}
            metadata |= {"issuer_ok": "0.30", "issuer_ok_night": "0.08"}
        case "lost":
            metadata |= {"issuer_profile": "hard", "issuer_from": since}
        case "technical":
            metadata |= {"issuer_profile": "technical", "issuer_hours": "0-14"}
        case "velocity":
            metadata |= {"issuer_profile": "velocity", "issuer_limit": "1", "issuer_then": "do_not_honor"}
            metadata["issuer_from"] = since
        case "authentication":
            metadata |= {"issuer_profile": "authentication", "issuer_from": since}
        case "broke":
            metadata |= {"issuer_profile": "decline_charges", "issuer_code": "insufficient_funds"}
            metadata["issuer_from"] = since
        case "expires":
            expires = start + timedelta(days=rng.randrange(-5, 30))
        case _:
            metadata["issuer_profile"] = "always_ok"
    return {
        "number": card_number(10_000 + person.index, network),
        "exp_month": expires.month,
        "exp_year": expires.year,
        "metadata": metadata,
    }
