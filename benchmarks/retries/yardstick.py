"""Owns a yardstick: how far one gets in the worlds of `examiners` who knows their laws but nothing that is hidden.

    python -m benchmarks.retries.yardstick [--worlds salaries,thin] [--failures 40] [--draws 2000] [--seed 1]

Persons are drawn by the world's own laws and weighed by the customer's rows, single pays integrated out one by one.
Tries are the hours that cover the most of their futures, chosen anew after each refusal. Prints JSON: for each world
and window (days) how many failed invoices were recovered by eight evenly spread retries, by this, and by a
clairvoyant, and the share of the way between the first and the last that was closed.

Hours are those of the grid of `examiners`; "ahead" stands for the hours from a failure on, its own among them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.retries.examiners import (
    APPROVED,
    DO_NOT_HONOR,
    FINAL,
    NAMES,
    NOT_AVAILABLE,
    NUMBER,
    POOR,
    PROCESSING,
    VELOCITY,
    Bank,
    Flags,
    Hours,
    Person,
    Reals,
    Rng,
    World,
    build,
    clock,
    draw_person,
    due_hours,
    pays,
    recoverable,
    slot,
)

WINDOWS = (14, 28)
TRIES = 8
#: Answers that tell nothing of the person.
SILENT = (NOT_AVAILABLE, PROCESSING, VELOCITY)
KEPT = 500  # Persons that stay of those drawn.
LUCKS = 8  # Draws of the single pays of each person.
DRAWS_SEED = 7

Row = Mapping[str, Any]
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Futures:
    """What may be ahead of a customer: persons as likely as each other; flags are arrays [KEPT, hours ahead]."""

    ahead: Hours
    funded: Flags
    blocked: Flags
    dead: Flags
    watched: Hours  # 0 or 1, of each person.
    effective: float  # How many of the draws bear the weight; where it is small, the yardstick is short.


def _likelihoods(bank: Bank, luck: float, hours: ArrayLike, codes: ArrayLike) -> tuple[Reals, Reals, Reals]:
    """How likely these answers (numbers of codes) are at these hours: [watched, answers] each.

    In turn with the money there, without it, and from a card that is held or dead.
    """
    hours, codes = np.atleast_1d(hours), np.atleast_1d(codes)
    funded, poor, blocked = np.zeros((3, 2, hours.size))
    for watched in range(2):
        refuse = bank.refuse[hours] * watched
        habit = refuse * (codes == bank.habit_code)
        fine = np.where(codes == APPROVED, 1 - luck, luck * (codes == bank.base_code))
        funded[watched] = habit + (1 - refuse) * fine
        lacking = bank.mask * (codes == DO_NOT_HONOR) + (1 - bank.mask) * (codes == POOR)
        poor[watched] = habit + (1 - refuse) * lacking
        blocked[watched] = codes == bank.dead_code
    for likely in (funded, poor, blocked):
        likely[:, np.isin(codes, SILENT)] = 1.0
    return funded, poor, blocked


def imagine(world: World, failure: Row, rows: Sequence[Row], rng: Rng, draws: int, kept: int = KEPT) -> Futures:
    """The futures of the customer whose charge failed, by all their rows in order of time, the failed one last."""
    customer = world.customers[failure["customer_no"]]  # Asked for its bank and plan, which are no secret.
    bank, local = customer.bank, clock(failure["timezone"], world.laws.hours)
    hours = np.array([slot(row["at"]) for row in rows])
    codes = np.array([APPROVED if row["approved"] else NUMBER[row["decline_code"]] for row in rows])
    likely = _likelihoods(bank, bank.luckless(failure["cross_border"]), hours, codes)
    now = int(hours[-1])
    ahead = now + np.arange(max(WINDOWS) * 24 + 1)
    drawn: list[tuple[Person, Hours, Hours] | None] = []
    weight = np.zeros(draws)
    none = np.zeros(0, np.int64)
    for number in range(draws):
        person = draw_person(rng, world.laws, bank, failure["funding"], customer.level)
        drawn.append(None)
        if person.final <= now:
            continue
        funded, poor, blocked = (by_watched[int(person.watched)] for by_watched in likely)
        stopped = person.blocked(hours)
        if person.well:
            weight[number] = np.where(stopped, blocked, funded).prod()
            drawn[number] = (person, none, none)
            continue
        due = due_hours(rng, person, local)
        begin, end = pays(rng, person, due, LUCKS)
        pay = np.searchsorted(due, hours, side="right") - 1  # The last one due before each row.
        has = (begin[:, np.maximum(pay, 0)] <= hours) & (hours < end[:, np.maximum(pay, 0)])
        each = np.where(stopped, blocked, np.where(has, funded, poor))
        # Rows of one pay share its luck; those of different pays do not.
        by_pay = np.multiply.reduceat(each, np.flatnonzero(np.diff(pay, prepend=-9)), axis=1)
        weight[number] = by_pay.mean(0).prod()
        if weight[number] > 0:
            running = int(rng.choice(LUCKS, p=by_pay[:, -1] / by_pay[:, -1].sum()))
            first = max(0, int(pay[-1]))
            # The pay that is running is as the rows have it, later ones are each drawn afresh.
            luck = rng.integers(LUCKS, size=max(0, int(np.searchsorted(due, ahead[-1] + 48)) - first))
            luck[:1] = running
            those = np.arange(first, first + luck.size)
            drawn[number] = (person, begin[luck, those], end[luck, those])
    return _kept(drawn, weight, ahead, kept, rng)


def _kept(
    drawn: Sequence[tuple[Person, Hours, Hours] | None], weight: Reals, ahead: Hours, kept: int, rng: Rng
) -> Futures:
    """So many of the persons drawn, each as often as its weight says, and from when to when they will have money."""
    if weight.sum() <= 0:
        weight = np.array([0.0 if one is None else 1e-9 for one in drawn])
    if weight.sum() > 0:
        weight = weight / weight.sum()
    chosen = np.searchsorted(np.cumsum(weight), (np.arange(kept) + rng.random()) / kept)  # Strata leave less to luck.
    funded, blocked, dead = np.zeros((3, kept, ahead.size), bool)
    watched = np.zeros(kept, np.int64)
    for number, which in enumerate(np.minimum(chosen, len(drawn) - 1)):
        one = drawn[which]
        if one is None:
            dead[number] = True
            continue
        person, begin, end = one
        watched[number] = person.watched
        blocked[number] = person.blocked(ahead)
        dead[number] = ahead >= person.final
        funded[number] = person.well
        for come, gone in zip(begin - ahead[0], end - ahead[0], strict=True):
            funded[number, max(0, come) : max(0, gone)] = True
    effective = float(1 / (weight**2).sum()) if weight.any() else 0.0
    return Futures(ahead, funded, blocked, dead, watched, effective)


def _plan(chances: Floats, weight: Floats, hope: Floats, bank: Bank, used: Sequence[int], tries: int) -> list[int]:
    """Greedily, the tries that together leave the least uncovered: hours after the failure, in order of choice.

    Chances are arrays [persons, hours ahead], weights those of the persons; `hope` is a factor of each hour.
    """
    allowed, within = bank.velocity
    hours, missed = np.arange(hope.size), weight.copy()
    chosen: list[int] = []
    for _ in range(tries):
        gain = (missed @ chances) * hope
        gain[: used[-1] + 1] = 0
        gain[chosen] = 0
        if allowed:
            near = sum(((hours > hour) & (hours < hour + within)).astype(int) for hour in (*used, *chosen))
            gain[near >= allowed] = 0
        best = int(gain.argmax())
        if gain[best] <= 1e-7:
            break
        chosen.append(best)
        missed = missed * (1 - chances[:, best])
    return chosen


def law_knowing(world: World, failure: Row, futures: Futures, window_days: int) -> bool:
    """Whether tries by these futures recover the invoice."""
    bank, size = world.customers[failure["customer_no"]].bank, window_days * 24 + 1
    luck, ahead, watched = bank.luckless(failure["cross_border"]), futures.ahead, futures.watched
    open_hours = (1 - bank.refuse[ahead] * watched[:, None]) * (1 - luck) * ~bank.down[ahead]
    chances = ((futures.funded & ~futures.blocked & ~futures.dead) * open_hours)[:, :size].astype(np.float32)
    chances[:, 0] = 0
    weight = np.full(len(watched), 1 / len(watched), np.float32)
    hope = np.ones(size, np.float32)
    before, used = [failure["failed_at"]], [0]
    for tried in range(TRIES):
        plan = _plan(chances, weight, hope, bank, used, TRIES - tried)
        if not plan:
            return False
        hour = min(plan)
        at: datetime = failure["failed_at"] + timedelta(hours=hour)
        answer = world.charge(failure["customer_no"], at, before)
        if answer["approved"] or answer["decline_code"] in FINAL:
            return bool(answer["approved"])
        before.append(at)
        used.append(hour)
        code = NUMBER[answer["decline_code"]]
        if code in SILENT:
            hope[hour : hour + 6] *= 0.4  # What stood in the way may last for some hours.
            continue
        funded, poor, blocked = (likely[watched, 0] for likely in _likelihoods(bank, luck, ahead[hour], code))
        likely = np.where(futures.blocked[:, hour], blocked, np.where(futures.funded[:, hour], funded, poor))
        fresh = weight * (likely * ~futures.dead[:, hour])
        if fresh.sum() > 0:
            # A little stays with everybody: the persons kept are too few to be certain of one.
            weight = (0.98 * fresh / fresh.sum() + 0.02 / len(weight)).astype(np.float32)
    return False


def even(world: World, failure: Row, window_days: int) -> bool:
    """Whether evenly spread retries recover the invoice."""
    before: list[datetime] = [failure["failed_at"]]
    for number in range(1, TRIES + 1):
        at = failure["failed_at"] + timedelta(days=window_days) * number / TRIES
        answer = world.charge(failure["customer_no"], at, before)
        if answer["approved"] or answer["decline_code"] in FINAL:
            return bool(answer["approved"])
        before.append(at)
    return False


def compare(world: World, limit: int, draws: int) -> dict[str, Any]:
    """What became of some of the world's failed invoices, at most so many."""
    past: dict[str, list[Row]] = {}
    for row in world.history:
        past.setdefault(row["customer_id"], []).append(row)
    rng = np.random.default_rng(DRAWS_SEED)
    counts = {window: np.zeros(3, int) for window in WINDOWS}
    effective: list[float] = []
    for number in sorted(rng.permutation(len(world.failures))[:limit]):
        failure = world.failures[number]
        futures = imagine(world, failure, [*past.get(failure["customer_id"], []), failure], rng, draws)
        effective.append(futures.effective)
        for window, count in counts.items():
            law = law_knowing(world, failure, futures, window)
            count += (even(world, failure, window), law, recoverable(world, dict(failure), window))
    windows = {str(window): _figures(*(int(n) for n in count)) for window, count in counts.items()}
    return {"failed": len(effective), "effective_draws": round(float(np.median(effective))), "windows": windows}


def _figures(evenly: int, law: int, clairvoyant: int) -> dict[str, Any]:
    room = clairvoyant - evenly
    closed = round((law - evenly) / room, 3) if room else None
    return {"even": evenly, "law_knowing": law, "clairvoyant": clairvoyant, "gap_closed": closed}


def main() -> None:
    """Measures the worlds asked for and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", default=",".join(NAMES), help="names, comma-separated")
    parser.add_argument("--failures", type=int, default=40, help="failed invoices of each world, at most")
    parser.add_argument("--draws", type=int, default=2000, help="persons drawn for each failed invoice")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    unknown = set(given.worlds.split(",")) - set(NAMES)
    if unknown:
        parser.error(f"no such world: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    found = {
        name: compare(build(name, seed=given.seed), given.failures, given.draws) for name in given.worlds.split(",")
    }
    print(json.dumps({"seed": given.seed, "draws": given.draws, "worlds": found}, indent=2))


if __name__ == "__main__":
    main()
