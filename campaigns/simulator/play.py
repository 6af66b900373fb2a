"""Plays one life on the virtual calendar: from moment to moment at which something happens, never step by step."""

from collections.abc import Sequence
from datetime import datetime

from campaigns.engine.standing import Offer
from campaigns.simulator.types import Costs, Event, Life
from campaigns.simulator.world import World

#: Looks at one moment of one life; more would be a rule that spins.
MOST_LOOKS = 50


def play(life: Life, offers: Sequence[Offer], *, start: datetime, until: datetime, costs: Costs) -> list[Event]:
    """Everything that happens in a life from `start` to `until` (aware UTC, both included), in order.

    Facts come first, then charges, the assessment and the ladder, as the loops do it. Messages arrive, charges are
    declined unless the life says that it is paid then, and no person steps in.
    """
    world = World(life, offers, costs, start, until)
    known = [moment for moment in world.moments() if start < moment <= until]
    known.reverse()
    before: datetime | None = None
    now = start
    while True:
        changed = world.facts(before, now)
        world.charge(now)
        if changed:
            world.assess(now)
        for _look in range(MOST_LOOKS):
            if world.case is None or world.next_action_at is None or world.next_action_at > now:
                break
            world.look(now)
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
