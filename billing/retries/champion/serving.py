"""Owns what plans retries at this moment: the champion and the candidate, loaded once, and the lot between them."""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from billing.models import RetryModel, RetryModelEvent, RetryPolicy
from billing.retries import STRATEGIES
from billing.retries.champion.learnable import Learnable, Prepares
from billing.retries.champion.loading import ModelBroken, model_load
from billing.retries.champion.lot import Arm, Drawn, draw, shares
from billing.retries.champion.rows import rows_lately
from billing.retries.champion.switching import model_retire
from billing.retries.planner import Strategy
from billing.retries.policies import Terms
from billing.retries.types import PastAttempt, PlannedRetry, RetryContext, Stop

logger = logging.getLogger(__name__)

State = RetryModel.State
RULES = "rules"
#: Told this many charges, a loaded model is read anew, so that a worker's memory stays bounded.
_FORGET_AFTER = 200_000

Ask = Callable[[Strategy], PlannedRetry | Stop]


@dataclass(slots=True)
class _Held:
    strategy: Learnable
    told: int = 0


#: By model id; what this process has loaded.
_held: dict[int, _Held] = {}


@dataclass(slots=True)
class Serving:
    """What may plan in one batch; models that fail are taken out of it."""

    champion: tuple[int, Learnable] | None = None
    candidate: tuple[int, Learnable] | None = None

    def plan(self, terms: Terms, invoice_id: str, number: int, ask: Ask, now: datetime) -> Drawn:
        """Draws and plans one retry; `number` is the attempt's on its invoice, from 1.

        A model that raises is retired with an alert, and the rules plan in its place.
        """
        while True:
            try:
                return draw(self._arms(terms, ask), invoice_id, number)
            except ModelBroken as error:
                self._drop(error, now)

    def prepare(self, asked: Iterable[tuple[Terms, RetryContext, Sequence[PastAttempt]]], now: datetime) -> None:
        """Lets the models do together what they can for invoices that plan() is asked about next.

        One that raises is retired with an alert.
        """
        wanted = [
            (context, attempts) for terms, context, attempts in asked if terms.strategy == RetryPolicy.Strategy.BEST
        ]
        for model_id, strategy in [model for model in (self.champion, self.candidate) if model is not None]:
            if isinstance(strategy, Prepares):
                try:
                    strategy.prepare(wanted)
                except Exception as error:
                    # As while planning: the invoices are planned all the same.
                    self._drop(ModelBroken(model_id, f"{type(error).__name__}: {error}"), now)

    def leading(self, terms: Terms) -> Strategy:
        """What plans under these terms where no lot is drawn, as when one only looks ahead."""
        if terms.strategy != RetryPolicy.Strategy.BEST:
            named: Strategy = STRATEGIES[terms.strategy]()
            return named
        rules: Strategy = STRATEGIES[RULES]()
        return self.champion[1] if self.champion is not None else rules

    def _arms(self, terms: Terms, ask: Ask) -> list[Arm]:
        if terms.strategy != RetryPolicy.Strategy.BEST:
            strategy = STRATEGIES[terms.strategy]()
            return [Arm(terms.strategy, 1.0, lambda: ask(strategy))]
        rules: Strategy = STRATEGIES[RULES]()
        fitted = [model for model in (self.champion, self.candidate) if model is not None]
        others = len(fitted) if self.champion or not fitted else 1
        given = shares(1 - terms.explore, others)
        arms = [_fitted_arm(model, ask) for model in fitted]
        arms.insert(1 if self.champion else 0, Arm(RULES, 0.0, lambda: ask(rules)))
        return [Arm(arm.name, share, arm.plan, arm.model_id) for arm, share in zip(arms, given, strict=True)]

    def _drop(self, error: ModelBroken, now: datetime) -> None:
        logger.error("retry model %s was retired, the rules plan in its place: %s", error.model_id, error)
        _held.pop(error.model_id, None)
        self.champion = None if self.champion and self.champion[0] == error.model_id else self.champion
        self.candidate = None if self.candidate and self.candidate[0] == error.model_id else self.candidate
        model_retire(model_id=error.model_id, reason=str(error), now=now, kind=RetryModelEvent.Kind.BROKEN)


def serving(customer_ids: Collection[int], now: datetime, *, read_only: bool = False) -> Serving:
    """The models in use, told the newest charges of these customers.

    One query while there is no model, two with one; reading a model's file, once per process, costs one more. One that
    cannot be read is retired; `read_only` only leaves it out.
    """
    rows = list(RetryModel.objects.exclude(state=State.RETIRED).defer("data", "figures"))
    for gone in _held.keys() - {row.pk for row in rows}:
        del _held[gone]
    result = Serving()
    for row in rows:
        try:
            held = _held.get(row.pk)
            if held is None or held.told > _FORGET_AFTER:
                held = _held[row.pk] = _Held(model_load(row))
        except ModelBroken as error:
            if not read_only:
                result._drop(error, now)
            continue
        if row.state == State.CHAMPION:
            result.champion = (row.pk, held.strategy)
        else:
            result.candidate = (row.pk, held.strategy)
    usable = [row for row in rows if row.pk in _held]
    if usable:
        _tell(usable, customer_ids)
    return result


def _tell(models: list[RetryModel], customer_ids: Collection[int]) -> None:
    for row in rows_lately(customer_ids, min(model.trained_until for model in models)):
        context = RetryContext.from_mapping({**row, "failed_at": row["at"]})
        attempt = PastAttempt.from_mapping(row)
        for model in models:
            if attempt.at >= model.trained_until:
                _held[model.pk].strategy.observe(context, attempt)
                _held[model.pk].told += 1


def _fitted_arm(model: tuple[int, Learnable], ask: Ask) -> Arm:
    model_id, strategy = model

    def plan() -> PlannedRetry | Stop:
        try:
            return ask(strategy)
        except Exception as error:
            # A model's own mistake may be of any kind; the invoice is planned all the same.
            raise ModelBroken(model_id, f"{type(error).__name__}: {error}") from error

    return Arm(f"model:{model_id}", 0.0, plan, model_id)
