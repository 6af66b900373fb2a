"""Plays one life on the virtual calendar: from moment to moment at which something happens, never step by step."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from campaigns.engine.standing import Offer
from campaigns.engine.types import LadderSpec
from campaigns.simulator.climb import look
from campaigns.simulator.types import Costs, Event, Life
from campaigns.simulator.world import NO_LADDERS, World

#: Looks at one moment of one life; more would be a rule that spins.
MOST_LOOKS = 50


def play(
    life: Life,
    offers: Sequence[Offer],
    *,
    start: datetime,
    until: datetime,
    costs: Costs,
    ladders: Mapping[str, LadderSpec] = NO_LADDERS,
) -> list[Event]:
    """Everything that happens in a life from `start` to `until` (aware UTC, both included), in order.

    Facts come first, then charges, the assessment and the ladder, as the loops do it. Messages arrive, charges are
    declined unless the life says that it is paid then, and no person steps in. `ladders` are those a step may go
    over to, by code. Raises RuntimeError for a rule that spins.
    """
    world = World(life, offers, costs, start, until, ladders)
    known = [moment for moment in world.moments() if start < moment <= until]
    known.reverse()
    before = now = start
    # A case that is open was assessed when its facts last changed.
    changed = world.case is None
    while True:
        changed |= world.ledger.advance(before, now)
        changed |= world.promise is not None and world.promise.expires_at <= now
        changed |= world.reassess_at is not None and world.reassess_at <= now
        world.ledger.charge(now, resting=world.resting)
        for _look in range(MOST_LOOKS):
            if changed:
                world.assess(now)
                changed = False
            if world.case is None or world.next_action_at is None or world.next_action_at > now:
                break
            changed = look(world, now)
        else:
            raise RuntimeError(f"The ladder spins at {now} for case {life.key}.")
        before = now
        while known and known[-1] <= now:
            known.pop()
        ahead = world.soonest()
        if known and (ahead is None or known[-1] <= ahead):
            ahead = known[-1]
        if ahead is None or ahead > until:
            return world.events
        if ahead <= now:
            raise RuntimeError(f"The clock stands still at {now} for case {life.key}.")
        now = ahead
