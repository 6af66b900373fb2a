"""Celery tasks of this app: each calls one loop until nothing is due."""

from celery import shared_task

from customers import clock
from insights.risk.fitting import risk_fit
from insights.risk.refresh import risk_refresh

#: Batches one task takes at most; the next tick goes on where risks are old.
MOST_BATCHES = 200


@shared_task(name="insights.tasks.refresh_risk")
def refresh_risk() -> int:
    """Scores customers whose risk is unknown or a day old; returns how many."""
    done, after = 0, 0
    for _batch in range(MOST_BATCHES):
        result = risk_refresh(now=clock.now(), after=after)
        done += result.customers
        if result.last is None:
            break
        after = result.last
    return done


@shared_task(name="insights.tasks.fit_risk")
def fit_risk() -> str:
    """Fits the risk model anew; returns what it came to."""
    return risk_fit(now=clock.now()).outcome
