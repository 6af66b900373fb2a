"""Owns merging a duplicate into the customer kept: everything moves in one transaction, or nothing does.

Rows that point at the duplicate are found from the models themselves, so a table added later moves too. What cannot
simply move (two live cases, two open promises, a charge under way) belongs to the app that knows it: apps register a
`MergePart` when they start. The duplicate's row stays as the name the outside knows it by: see
Customer.merged_into. A merge cannot be taken back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.db import IntegrityError, models, transaction
from django.utils.translation import gettext as _

from customers import consent
from customers.addresses import normalise
from customers.errors import SollecitoError
from customers.log import Entry, record
from customers.models import ActorKind, Channel, ConsentEvent, Contact, Customer
from customers.notes import EXCLUSIONS
from customers.services import customers_reassess
from customers.signals import announce_exclusions_changed

#: What a merge keeps if either had it: the stricter one wins.
STRICT = ("no_dunning", "do_not_contact", "legal_hold", "bankrupt", "vulnerable")
#: What the customer kept takes over where they had none themselves.
FILLED = (
    "name", "email", "phone", "postal_address", "country", "vat_id", "language", "timezone", "exclusion_reason",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pair:
    """Two rows, locked; `merged` goes into `kept` at `now` (aware UTC) by the will of `actor_id`."""

    kept: Customer
    merged: Customer
    actor_id: int
    now: datetime


@dataclass(frozen=True, slots=True)
class MergePart:
    """What one app has to say to a merge. `objections` gives reasons in words why it must not be (also asked by the
    page that previews it), `before` settles what cannot move as it is, `after` what follows from the move."""

    objections: Callable[[Customer, Customer], Sequence[str]] = field(default=lambda kept, merged: ())
    before: Callable[[Pair], None] = field(default=lambda pair: None)
    after: Callable[[Pair], None] = field(default=lambda pair: None)


_parts: dict[str, MergePart] = {}


def merge_part(app: str, part: MergePart) -> None:
    """Registers what `app` does at a merge; called once, when the app starts."""
    _parts[app] = part


@dataclass(frozen=True, slots=True)
class MergePlan:
    """What a merge would move, by the words for it, and what stands against it."""

    moves: tuple[tuple[str, int], ...]
    objections: tuple[str, ...]


def merge_plan(*, kept: Customer, merged: Customer) -> MergePlan:
    """What `customers_merge` would do now; writes nothing."""
    moves = []
    for model, column in _pointing():
        if not model._meta.model_name.startswith("historical") and (  # type: ignore[union-attr]
            count := model._base_manager.filter(**{column: merged.pk}).count()
        ):
            moves.append((str(model._meta.verbose_name_plural), count))
    return MergePlan(tuple(sorted(moves)), tuple(_objections(kept, merged)))


def customers_merge(*, kept_id: int, merged_id: int, reason: str, actor_id: int, now: datetime) -> dict[str, int]:
    """Moves everything of one customer to another and hides the emptied one; returns how many rows of each table.

    Raises SollecitoError without a reason, for the same customer twice or one that is merged already, and for
    whatever an app objects to (a charge under way, two payment plans).
    """
    if not reason.strip():
        raise SollecitoError(_("Say why."), code="reason_missing")
    try:
        with transaction.atomic():
            return _merge(kept_id, merged_id, reason.strip(), actor_id, now)
    except IntegrityError as error:
        raise SollecitoError(
            _("Both have something of which one customer can have only one: %(what)s") % {"what": error},
            code="merge_conflict",
        ) from error


def _merge(kept_id: int, merged_id: int, reason: str, actor_id: int, now: datetime) -> dict[str, int]:
    # In the order of all locks, so that two who merge the same pair either way do not wait for each other.
    locked = Customer.objects.filter(pk__in={kept_id, merged_id}).order_by("pk").select_for_update()
    rows = {row.pk: row for row in locked}
    if len(rows) != 2:
        raise SollecitoError(_("Choose two customers, neither of them merged already."), code="merge_pair")
    pair = Pair(rows[kept_id], rows[merged_id], actor_id, now)
    if against := _objections(pair.kept, pair.merged):
        raise SollecitoError(" ".join(against), code="merge_refused")
    was = {"id": merged_id, "source": pair.merged.source, "external_id": pair.merged.external_id}
    for part in _parts.values():
        part.before(pair)
    _contacts(pair)
    moved = _move(pair)
    _consents(pair)
    _fields(pair)
    for part in _parts.values():
        part.after(pair)
    customers_reassess([kept_id], now)
    record(
        Entry(
            customer_id=kept_id,
            at=now,
            kind="customer.merged",
            summary=_("The duplicate %(name)s (%(id)s) was merged into this customer.")
            % {"name": pair.merged, "id": pair.merged.external_id or f"#{merged_id}"},
            body=reason,
            actor_kind=ActorKind.USER,
            actor_id=actor_id,
            data={"merged": was, "moved": moved},
        )
    )
    return moved


def _objections(kept: Customer, merged: Customer) -> list[str]:
    found = []
    if kept.brand_id != merged.brand_id:
        found.append(_("They owe two different brands."))
    for part in _parts.values():
        found += part.objections(kept, merged)
    return found


def _pointing() -> list[tuple[type[models.Model], str]]:
    """Every column of every table that names a customer, histories too; the customers' own tables aside."""
    found = []
    for relation in Customer._meta.get_fields(include_hidden=True):
        model: Any = relation.related_model
        if relation.auto_created and not relation.concrete and model not in (Customer, Customer.history.model):
            found.append((model, relation.field.attname))  # type: ignore[union-attr]
    return found


def _move(pair: Pair) -> dict[str, int]:
    moved = {}
    for model, column in _pointing():
        rows = model._base_manager.filter(**{column: pair.merged.pk})
        # One row for each customer (a ranking, an estimate): theirs is dropped where the one kept has one.
        alone: Any = model._meta.get_field(column)
        if alone.unique and model._base_manager.filter(**{column: pair.kept.pk}).exists():
            rows.delete()
            continue
        count = rows.update(**{column: pair.kept.pk})
        if count:
            moved[model._meta.label_lower] = count
    return moved


def _contacts(pair: Pair) -> None:
    """People both know become one, used only if both rows may be; the one kept keeps their primary one."""
    mine = {row.email.lower(): row for row in pair.kept.contacts.all() if row.email}
    has_primary = any(row.is_primary for row in pair.kept.contacts.all())
    for row in pair.merged.contacts.order_by("-is_primary", "id"):
        same = mine.get(row.email.lower()) if row.email else None
        if same is None:
            if row.is_primary and has_primary:
                row.is_primary = False
                row.save(update_fields=["is_primary"])
            continue
        for name in ("name", "phone", "role", "language"):
            setattr(same, name, getattr(same, name) or getattr(row, name))
        same.active = same.active and row.active
        for relation in Contact._meta.get_fields(include_hidden=True):
            model: Any = relation.related_model
            if relation.auto_created and not relation.concrete and model is not Contact.history.model:
                column = relation.field.attname  # type: ignore[union-attr]
                model._base_manager.filter(**{column: row.pk}).update(**{column: same.pk})
        takes_over = row.is_primary and not has_primary
        row.delete()
        same.is_primary = same.is_primary or takes_over
        same.save()


def _consents(pair: Pair) -> None:
    """Who refused a channel at one of their own addresses refused it at the other: it is one person now."""
    for channels, name in (((Channel.EMAIL,), "email"), ((Channel.SMS, Channel.WHATSAPP, Channel.CALL), "phone")):
        for channel in channels:
            spelled = {
                address
                for row in (pair.kept, pair.merged)
                if (address := normalise(channel, getattr(row, name), row.country))
            }
            held = consent.states([(channel, address) for address in spelled])
            refused = sorted(address for (_c, address), state in held.items() if not state.allowed)
            for address in sorted(spelled.difference(refused)) if refused else ():
                consent.opt_out_record(
                    channel=channel,
                    address=address,
                    customer_id=pair.kept.pk,
                    evidence=consent.Evidence(
                        source=ConsentEvent.Source.STAFF,
                        text=_("Refused as %(address)s, of the same person; merged.") % {"address": refused[0]},
                        actor_id=pair.actor_id,
                    ),
                    now=pair.now,
                )


def _fields(pair: Pair) -> None:
    kept, merged = pair.kept, pair.merged
    newly = [name for name in STRICT if getattr(merged, name) and not getattr(kept, name)]
    for name in newly:
        setattr(kept, name, True)
    for name in FILLED:
        setattr(kept, name, getattr(kept, name) or getattr(merged, name))
    kept.tags = list(dict.fromkeys([*kept.tags, *merged.tags]))
    kept.metadata = {**merged.metadata, **kept.metadata}
    # Who had merged into the duplicate before is now a duplicate of the one kept: never a chain.
    Customer.with_merged.filter(merged_into=merged).update(merged_into=kept)
    merged.merged_into, merged.merged_at, merged.reassess_at = kept, pair.now, None
    actor = get_user_model().objects.get(pk=pair.actor_id)
    for row, names in (
        (kept, (*newly, *FILLED, "tags", "metadata")),
        (merged, ("merged_into", "merged_at", "reassess_at")),
    ):
        row._history_user = actor  # type: ignore[attr-defined]
        row.save(update_fields=list(names))
    if EXCLUSIONS.intersection(newly):
        announce_exclusions_changed(kept.pk)
