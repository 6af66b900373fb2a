"""Owns which model is champion: made so, retired, found broken, fallen back; every switch stands in their log."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from billing.models import RetryModel, RetryModelEvent
from billing.retries.champion.loading import ModelBroken, model_load
from customers.errors import SollecitoError

State, Kind = RetryModel.State, RetryModelEvent.Kind


def note(
    kind: str,
    reason: str,
    now: datetime,
    *,
    model: RetryModel | None = None,
    actor_id: int | None = None,
    data: dict[str, Any] | None = None,
    alert: bool = False,
) -> RetryModelEvent:
    """Writes a line of the models' log; with `alert` staff is asked to look."""
    return RetryModelEvent.objects.create(
        model=model, at=now, kind=kind, reason=reason[:500], actor_id=actor_id, data=data or {}, alert=alert
    )


@transaction.atomic
def model_promote(
    *, model_id: int, reason: str, now: datetime, actor_id: int | None = None, data: dict[str, Any] | None = None
) -> None:
    """Makes a model the champion, in place of the present one; also the way back to an earlier one.

    What is planned already stays as it is. Raises SollecitoError for the champion itself, or a model that does not
    load.
    """
    model = _locked(model_id)
    if model.state == State.CHAMPION:
        raise SollecitoError(_("It is the champion already."), code="champion_already")
    try:
        model_load(model)
    except ModelBroken as error:
        raise SollecitoError(_("The model cannot be used: %(why)s") % {"why": error}, code="model_broken") from error
    before = RetryModel.objects.filter(state=State.CHAMPION).first()
    if before is not None:
        _to(before, State.RETIRED)
        note(Kind.RETIRED, _("%(model)s took its place.") % {"model": model}, now, model=before, actor_id=actor_id)
    _to(model, State.CHAMPION)
    note(Kind.PROMOTED, reason, now, model=model, actor_id=actor_id, data=data, alert=actor_id is None)


@transaction.atomic
def model_retire(
    *,
    model_id: int,
    reason: str,
    now: datetime,
    actor_id: int | None = None,
    kind: str = Kind.RETIRED,
    data: dict[str, Any] | None = None,
) -> bool:
    """Takes a champion or candidate out of use; without a champion the rules plan. False when it was out already."""
    model = _locked(model_id)
    if model.state == State.RETIRED:
        return False
    was_champion = model.state == State.CHAMPION
    _to(model, State.RETIRED)
    # That a candidate was tried in vain is no news to get up for; that the rules plan again, or a file broke, is.
    alert = actor_id is None and (was_champion or kind == Kind.BROKEN)
    note(kind, reason, now, model=model, actor_id=actor_id, data=data, alert=alert)
    return True


def alerts_seen(*, event_ids: Collection[int], now: datetime) -> int:
    """Staff has looked: the menu no longer counts these lines. Returns how many of them were news."""
    return RetryModelEvent.objects.filter(pk__in=event_ids, alert=True, seen_at__isnull=True).update(seen_at=now)


def alerts_new() -> int:
    """How many lines staff has not looked at yet; one look at a partial index."""
    return RetryModelEvent.objects.filter(alert=True, seen_at__isnull=True).count()


def _locked(model_id: int) -> RetryModel:
    # All of those in use are locked, in one order: two switches at once would otherwise meet in the constraint.
    list(
        RetryModel.objects.select_for_update(no_key=True)
        .exclude(state=State.RETIRED)
        .order_by("pk")
        .values_list("pk", flat=True)
    )
    model = RetryModel.objects.select_for_update(no_key=True).defer("figures").filter(pk=model_id).first()
    if model is None:
        raise SollecitoError(_("There is no such model."), code="no_model")
    return model


def _to(model: RetryModel, state: str) -> None:
    model.state = state
    model.save(update_fields=["state"])
