"""`manage.py simulate_ladder`: what a ladder would do, on past receivables or on the open cases; changes nothing."""

import json
import os
from argparse import ArgumentParser
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.imports.items import Receivable
from billing.imports.presets import PRESETS
from billing.imports.whole import read_file
from campaigns.simulator import arms, ladders, open_cases, receivables
from campaigns.simulator.costs import cost_table
from campaigns.simulator.ladders import Candidate
from campaigns.simulator.run import Simulation, simulate
from customers import clock
from customers.errors import SollecitoError


class Command(BaseCommand):
    """Plays a ladder on a virtual calendar with the engine's own decisions; nothing is written, nothing is sent."""

    help = __doc__ or ""
    #: A shipped ladder on a file needs no database.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ladder", nargs="?", help="code of a shipped or stored ladder; without: every B2B one")
        parser.add_argument("--all-b2b", action="store_true", help="every shipped ladder for invoices paid by hand")
        parser.add_argument("--ladder-version", default="", help="published, draft or a number")
        parser.add_argument("--receivables", type=Path, metavar="FILE", help="a CSV file of past invoices")
        parser.add_argument("--preset", choices=sorted(PRESETS), help="how the file is written (default: by headings)")
        parser.add_argument("--from", type=date.fromisoformat, dest="since", help="invoices issued from this day on")
        parser.add_argument("--to", type=date.fromisoformat, dest="upto", help="invoices issued up to this day")
        parser.add_argument("--open-cases", type=int, metavar="N", help="plays a sample of N open cases instead")
        parser.add_argument("--days", type=int, default=60, help="how far ahead open cases are played")
        parser.add_argument("--timezone", default="UTC", help="where the customers of the file are")
        parser.add_argument("--country", default="", help="their country where the file has none (ISO 3166)")
        parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
        parser.add_argument("--json", action="store_true", help="prints the figures as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["receivables"]:
                found = self._receivables(options)
            elif options["open_cases"] and options["ladder"]:
                found = self._open_cases(options)
            else:
                raise CommandError("Name a file (--receivables FILE), or a ladder and --open-cases N.")
        except SollecitoError as error:
            raise CommandError(error.message) from error
        if options["json"]:
            self.stdout.write(json.dumps(found, indent=2, ensure_ascii=False))
        else:
            self._tell(found)

    # --- past receivables

    def _receivables(self, options: dict[str, Any]) -> dict[str, Any]:
        rows = _read(options["receivables"], options["preset"])
        since, upto = options["since"], options["upto"]
        rows = [row for row in rows if (not since or row.issued >= since) and (not upto or row.issued <= upto)]
        start, until = receivables.period(rows, options["timezone"])
        found = []
        for candidate in self._candidates(options):
            lives = receivables.lives(
                rows, trigger=candidate.trigger, zone_name=options["timezone"], country=options["country"]
            )
            played = simulate(
                lives, candidate.offers, start=start, until=until, costs=cost_table(),
                ladders=ladders.gone_over_to(candidate), processes=options["processes"],
            )  # fmt: skip
            found.append(_figures(candidate, played))
        return {
            "file": options["receivables"].name,
            "invoices": len(rows),
            "customers": len({row.customer for row in rows}),
            "disputed_left_alone": sum(row.disputed for row in rows),
            "paid_late": sum(row.settled is not None and row.settled > row.due for row in rows),
            "from": start.date().isoformat(),
            "to": until.date().isoformat(),
            "timezone": options["timezone"],
            "ladders": found,
        }

    def _candidates(self, options: dict[str, Any]) -> list[Candidate]:
        if options["ladder"] and not options["all_b2b"]:
            return [ladders.find(options["ladder"], options["ladder_version"])]
        return ladders.shipped_b2b()

    # --- open cases

    def _open_cases(self, options: dict[str, Any]) -> dict[str, Any]:
        now = clock.now()
        until = now + timedelta(days=options["days"])
        candidate = ladders.find(options["ladder"], options["ladder_version"], prefer_stored=True)
        ids = open_cases.sample(options["open_cases"], trigger=candidate.trigger)
        lives, drawn = arms.on_ladder(open_cases.lives(ids, now, all_set_up=True), candidate.spec, now)
        played = simulate(
            lives,
            candidate.offers,
            start=now,
            until=until,
            costs=cost_table(),
            ladders=ladders.gone_over_to(candidate),
            processes=options["processes"],
        )
        return {
            "cases": len(ids),
            "from": now.isoformat(),
            "to": until.isoformat(),
            "ladders": [
                _figures(candidate, played) | {"arms": arms.arm_figures(lives, drawn, played, cost_table())},
            ],
        }

    # --- telling

    def _tell(self, found: dict[str, Any]) -> None:
        if "file" in found:
            self.stdout.write(
                f"{found['file']}: {found['invoices']} invoices of {found['customers']} customers, "
                f"{found['paid_late']} paid late, {found['disputed_left_alone']} disputed (left alone); "
                f"{found['from']} to {found['to']} ({found['timezone']})."
            )
        else:
            self.stdout.write(f"{found['cases']} open cases, {found['from']} to {found['to']}.")
        for ladder in found["ladders"]:
            self._ladder(ladder)

    def _ladder(self, told: dict[str, Any]) -> None:
        write = self.stdout.write
        write(f"\n{told['name']} ({told['ladder']}, {told['version']})")
        write(
            f"  {told['opened']} cases, {told['recovered']} recovered, {told['ended']} ended unpaid; "
            f"{told['reminders']} reminders about {told['invoices_reminded']} invoices, {told['tasks']} tasks, "
            f"{told['retries']} charges, {told['deferrals']} deferrals"
        )
        write(
            f"  paid within {told['paid_soon_days']} days after a reminder: {told['invoices_paid_soon']} invoices, "
            f"{told['reminders_paid_soon']} reminders"
        )
        for step in told["steps"]:
            write(
                f"    {step['name']}: {step['sent']} taken, {step['deferred']} put off, {step['blocked']} blocked, "
                f"{step['superseded']} left out"
            )
        for arm in told.get("arms", ()):
            write(
                f"    {arm['experiment']}, {arm['arm']}: {arm['opened']} cases, {arm['reminders']} reminders, "
                f"{arm['tasks']} tasks, {arm['ended']} ended unpaid"
            )
        write("  reminders by days from the due day:")
        most = max(told["by_days_from_due"].values(), default=1)
        for days, count in told["by_days_from_due"].items():
            write(f"    {int(days):4d}  {count:5d}  {'#' * max(1, round(40 * count / most))}")
        write("  by date:")
        for day, counts in told["per_day"].items():
            write(f"    {day}  " + ", ".join(f"{count} {what}" for what, count in counts.items()))


def _figures(candidate: Candidate, played: Simulation) -> dict[str, Any]:
    head = {"ladder": candidate.code, "name": candidate.name, "version": candidate.version}
    return head | played.figures.as_dict()


def _read(path: Path, preset: str | None) -> list[Receivable]:
    try:
        with path.open("rb") as file:
            items, errors = read_file(file, PRESETS[preset] if preset else None)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error}") from error
    if errors:
        shown = "\n".join(str(error) for error in errors[:20])
        raise CommandError(f"{path}: {len(errors)} errors.\n{shown}")
    found = [item for item in items if isinstance(item, Receivable)]
    if not found:
        # Figures full of zeros would look like a ladder that does nothing; a list of charges reads without error, too.
        raise CommandError(f"{path}: no row is an invoice.")
    return found
