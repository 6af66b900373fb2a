"""Owns who a file's rows are about: customers found by their number at the source, made where there are none; and what
a connected processor tells of better itself."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _

from billing.imports.items import Item
from billing.imports.presets import Preset
from billing.models import ProcessorAccount
from customers.geography import timezone_of
from customers.models import Brand, Contact, Customer, CustomerKind

_STRIPE = "stripe"


@dataclass(frozen=True, slots=True)
class Context:
    """What holds for all rows of a file: seen as of a day at the brand's place, written at `now` (aware UTC) for
    `actor_id`. `email_domain` gives customers without an address one under it (demonstrations only)."""

    preset: Preset
    brand: Brand
    as_of: date
    now: datetime
    email_domain: str = ""
    actor_id: int | None = None

    @property
    def source(self) -> str:
        """The `source` of everything the file tells of."""
        return self.preset.source


def customers_known(context: Context, items: Sequence[Item]) -> dict[str, int]:
    """Ids of the customers of these rows, by their number at the source; of merged ones those they went into."""
    rows = Customer.with_merged.filter(source=context.source, external_id__in={item.customer for item in items})
    return {name or "": into or pk for name, pk, into in rows.values_list("external_id", "pk", "merged_into")}


def one_source_at_a_time(source: str) -> None:
    """Has other imports of this source wait until the transaction ends: two files may tell of the same new customer,
    and each would make them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [source])


def customers_lock(ids: Collection[int]) -> None:
    """Locks customers in the one order everybody keeps to."""
    list(Customer.with_merged.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True).values_list("pk"))


def customers_made(context: Context, items: Sequence[Item]) -> tuple[dict[str, Customer], int]:
    """The customers of these rows, locked, by their number at the source, and how many of them are new.

    One who is known stays as they are: what staff changed since is not undone by a file.
    """
    first = {item.customer: item for item in reversed(items)}
    where = {"source": context.source, "external_id__in": list(first)}
    rows = list(Customer.with_merged.select_for_update(no_key=True).filter(**where).order_by("pk"))
    merged = {row.merged_into_id for row in rows if row.merged_into_id is not None}
    kept = Customer.objects.select_for_update(no_key=True).filter(pk__in=merged).order_by("pk").in_bulk()
    known = {row.external_id or "": kept.get(row.merged_into_id or 0, row) for row in rows}
    new = [_customer(context, item) for name, item in first.items() if name not in known]
    if new:
        Customer.objects.bulk_create(new)
        Contact.objects.bulk_create(
            Contact(customer=row, name=row.name, email=row.email, is_primary=True) for row in new if row.email
        )
        known |= {row.external_id or "": row for row in new}
    return known, len(new)


def _customer(context: Context, item: Item) -> Customer:
    domain = context.email_domain
    email = item.email or (f"{item.customer.lower()}@{domain}" if domain else "")
    return Customer(
        source=context.source,
        external_id=item.customer,
        brand=context.brand,
        name=item.customer_name or item.customer,
        email=email,
        kind=CustomerKind.BUSINESS,
        country=item.country,
        timezone=timezone_of(item.country) if item.country else "",
        language=context.brand.default_language,
        metadata=dict(item.extra),
    )


def told_elsewhere(context: Context, model: Any, items: Sequence[Item]) -> Mapping[str, tuple[str, str]]:
    """Numbers a connected account tells of itself → reason and remedy: nobody is asked twice for one debt."""
    if context.preset.family != _STRIPE:
        return {}
    accounts = list(ProcessorAccount.objects.values_list("code", flat=True))
    rows = model.objects.filter(source__in=accounts, external_id__in=[item.number for item in items])
    remedy = _("Nothing to mend: the connection keeps it up to date by itself.")
    return {
        number: (_("is known from the connected account {name}").format(name=source), remedy)
        for number, source in rows.values_list("external_id", "source")
    }
