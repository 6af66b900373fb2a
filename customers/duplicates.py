"""Owns finding customers who are probably one and the same, each with why it is thought so."""

from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from customers.models import Customer

#: Candidates shown for one customer, and groups on the list.
LIMIT = 20
MOST_GROUPS = 100
#: Rows of one group; more is no person but an accountant's address.
MOST_ALIKE = 20
#: Mail providers whose domain says nothing about who somebody is.
_PUBLIC = frozenset(
    {
        "gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "yahoo.com", "icloud.com", "me.com",
        "aol.com", "gmx.de", "gmx.net", "web.de", "wp.pl", "o2.pl", "onet.pl", "interia.pl", "libero.it",
        "virgilio.it", "alice.it", "orange.fr", "free.fr", "proton.me", "protonmail.com",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A customer who may be the same as another, and the reasons in words."""

    customer: Customer
    why: tuple[str, ...]


def duplicates_of(customer: Customer, among: QuerySet[Customer]) -> list[Duplicate]:
    """Likely duplicates of one customer of the same brand `among` those the reader may see, the likeliest first."""
    same: list[tuple[str, Q]] = []
    if customer.email:
        same.append((_("the same e-mail address"), Q(email__iexact=customer.email)))
    if customer.vat_id:
        same.append((_("the same VAT number"), Q(vat_id__iexact=customer.vat_id)))
    domain = customer.email.rpartition("@")[2].lower()
    if customer.name and domain and domain not in _PUBLIC:
        alike = Q(name__iexact=customer.name) & Q(email__iendswith=f"@{domain}")
        same.append((_("the same name and mail domain"), alike))
    found: dict[int, Duplicate] = {}
    for why, condition in same:
        rows = among.filter(condition, brand_id=customer.brand_id).exclude(pk=customer.pk)
        for row in rows.order_by("pk")[:LIMIT]:
            before = found.get(row.pk)
            found[row.pk] = Duplicate(row, (*(before.why if before else ()), why))
    return sorted(found.values(), key=lambda d: (-len(d.why), d.customer.pk))[:LIMIT]


_GROUPS = """
    SELECT why, array_agg(id ORDER BY id)
      FROM (SELECT 'email' AS why, id, brand_id, upper(email) AS alike FROM customers_customer
             WHERE email <> '' AND merged_into_id IS NULL
            UNION ALL
            SELECT 'vat', id, brand_id, upper(vat_id) FROM customers_customer
             WHERE vat_id <> '' AND merged_into_id IS NULL
            UNION ALL
            SELECT 'name', id, brand_id, upper(name) || ' ' || lower(split_part(email, '@', 2)) FROM customers_customer
             WHERE name <> '' AND email <> '' AND merged_into_id IS NULL
               AND lower(split_part(email, '@', 2)) <> ALL(%s)) known
     GROUP BY why, brand_id, alike
    HAVING count(*) BETWEEN 2 AND %s
     ORDER BY max(id) DESC
     LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Group:
    """Customers who look like one, and why."""

    customers: tuple[Customer, ...]
    why: str


def groups_find(among: QuerySet[Customer]) -> list[Group]:
    """The newest groups of likely duplicates, as far as they are `among` those the reader may see. Reads the whole
    table once; no loop depends on it."""
    words: dict[str, Any] = {
        "email": _("the same e-mail address"),
        "vat": _("the same VAT number"),
        "name": _("the same name and mail domain"),
    }
    with connection.cursor() as cursor:
        cursor.execute(_GROUPS, [sorted(_PUBLIC), MOST_ALIKE, MOST_GROUPS])
        rows = cursor.fetchall()
    people = among.select_related("brand").in_bulk({pk for _why, ids in rows for pk in ids})
    reasons: dict[tuple[int, ...], list[str]] = {}
    for why, ids in rows:
        if len(known := tuple(pk for pk in ids if pk in people)) > 1:
            reasons.setdefault(known, []).append(words[why])
    return [Group(tuple(people[pk] for pk in ids), ", ".join(why)) for ids, why in reasons.items()]
