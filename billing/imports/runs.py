"""Owns imports as people ask for them: a file is sent, its columns named, what it would do looked at, and confirmed.

Reading and writing is the worker's part: `billing.imports.work`.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from django.db import transaction
from django.utils.text import slugify
from django.utils.translation import gettext as _

from billing.imports.files import MOST_BYTES
from billing.imports.guessing import guess_layout, guess_preset, settle_dates
from billing.imports.presets import INVOICES, PRESETS, Preset
from billing.imports.tables import Table, table_of
from billing.models import ImportMapping, ImportRow, ImportRun
from customers.datafiles import datafile_opened, datafile_write
from customers.errors import SollecitoError, check_transition
from customers.wake import wake

TASK = "billing.tasks.run_imports"
Status = ImportRun.Status
#: Of these something is written.
_BEGUN = (Status.WRITING, Status.STOPPED, Status.DONE)


def presets_all() -> dict[str, Preset]:
    """Every kind of file there is: ours, then those people saved."""
    return dict(PRESETS) | _saved()


def _saved() -> dict[str, Preset]:
    return {row.code: Preset.from_json(row.layout) for row in ImportMapping.objects.order_by("name")}


def import_start(
    *,
    name: str,
    chunks: Iterable[bytes],
    preset: str,
    brand_id: int,
    as_of: date,
    now: datetime,
    actor_id: int | None,
    email_domain: str = "",
    date_format: str = "",
    currency: str = "",
) -> ImportRun:
    """Takes in a file as seen on `as_of` at the brand's place, and wakes a worker to read it.

    `preset` is a code of `presets_all`, or empty: then the headings tell. `date_format` (strptime) and `currency` hold
    for a file that does not tell them itself. A file whose headings no preset fits, whose days and months may be
    either, or whose currency nobody told waits for a person to say (status `mapping`). Raises SollecitoError
    (`bad_file`, `hostile_file`, `too_large`, `unknown_preset`, `imported_otherwise`); then nothing is kept.
    """
    known = presets_all()
    if preset and preset not in known:
        raise SollecitoError(_("There is no kind of file {code}.").format(code=preset), code="unknown_preset")
    with transaction.atomic():
        file = datafile_write(name=name, chunks=chunks, now=now, most=MOST_BYTES)
        # What people named themselves goes before what we shipped.
        wanted = [known[preset]] if preset else list((_saved() | known).values())
        with datafile_opened(file.pk) as opened:
            table = table_of(opened, wanted, encoding=wanted[0].encoding if preset else "",
                             delimiter=wanted[0].delimiter if preset else "")  # fmt: skip
        chosen = guess_preset(table.headings, wanted)
        layout = _layout(chosen, table, date_format=date_format, currency=currency)
        if chosen and chosen.kind == INVOICES and not (layout.date_format and layout.tells_currency):
            chosen = None
        run = ImportRun.objects.create(
            file=file,
            file_name=name[-255:],
            sha256=file.sha256,
            size=file.size,
            preset=chosen.code if chosen else "",
            layout=_with_shape(layout, table).as_json(),
            brand_id=brand_id,
            as_of=as_of,
            email_domain=email_domain,
            status=Status.CHECKING if chosen else Status.MAPPING,
            asked_by_id=actor_id,
            created_at=now,
            headings=table.headings,
        )
        if chosen:
            _refuse_twin(run, chosen.code)
            wake(TASK)
    return run


def _layout(chosen: Preset | None, table: Table, *, date_format: str, currency: str) -> Preset:
    """How a file is read, as far as it tells itself."""
    if chosen is None:
        return guess_layout(table.headings, table.samples)
    layout = chosen.fitted(table.headings)
    days = date_format or settle_dates(layout, table.headings, table.samples)
    # Whatever it is called once somebody has answered: its invoices are those of this kind of file.
    return replace(layout, date_format=days, currency=currency or layout.currency, family=layout.family or layout.code)


def import_map(*, run_id: int, layout: Preset, save_as: str) -> ImportRun:
    """Names the columns of a file, and has it read. The mapping is kept under the name `save_as`: files with the same
    headings are known from then on, and their invoices found again. Raises SollecitoError (`columns_missing`,
    `name_taken`, `imported_otherwise`)."""
    with transaction.atomic():
        run = _moved(run_id, Status.CHECKING)
        table = import_table(run, layout)
        layout = _with_shape(layout, table)
        missing = layout.missing(table.headings)
        if missing:
            raise SollecitoError(
                _("Say which columns hold: {names}.").format(names=", ".join(missing)), code="columns_missing"
            )
        # The name is what invoices of these files are known by: the next file finds them again under it.
        code = slugify(save_as)[:40]
        if code in PRESETS or not code:
            raise SollecitoError(_("Choose another name for the mapping."), code="name_taken")
        layout = replace(layout, code=code, name=save_as)
        _refuse_twin(run, code)
        ImportMapping.objects.update_or_create(code=code, defaults={"name": save_as[:100], "layout": layout.as_json()})
        ImportRow.objects.filter(run=run).delete()
        save(
            run,
            preset=layout.code,
            layout=layout.as_json(),
            headings=table.headings,
            rows=0,
            done=0,
            error="",
            claimed_at=None,
        )
        wake(TASK)
    return run


def import_table(run: ImportRun, layout: Preset) -> Table:
    """The table of an import's file, its encoding and delimiter as `layout` tells them or, where it does not, found
    out. Raises SollecitoError (`bad_file`, `file_gone`)."""
    if run.file_id is None:
        raise SollecitoError(_("The file is not kept any more. Send it again."), code="file_gone")
    with datafile_opened(run.file_id) as file:
        return table_of(file, [layout], encoding=layout.encoding, delimiter=layout.delimiter)


def import_remap(*, run_id: int) -> ImportRun:
    """Goes back to naming the columns; what was read is forgotten."""
    with transaction.atomic():
        run = _moved(run_id, Status.MAPPING)
        ImportRow.objects.filter(run=run).delete()
        save(run, rows=0, done=0, new=0, changed=0, unchanged=0, rejected=0, error="")
    return run


def import_confirm(*, run_id: int, now: datetime) -> ImportRun:
    """Has the rows that can be taken written. Raises SollecitoError (`nothing_to_do`) where there is none, and
    `file_gone` where they are not kept any more."""
    with transaction.atomic():
        run = _moved(run_id, Status.WRITING)
        if not run.new + run.changed:
            raise SollecitoError(_("There is nothing to write."), code="nothing_to_do")
        if run.tidied_at is not None:
            raise SollecitoError(_("The file is not kept any more. Send it again."), code="file_gone")
        # One that was stopped goes on where it was.
        made = run.customers_new if run.done else 0
        save(run, confirmed_at=now, finished_at=None, claimed_at=None, customers_new=made)
        wake(TASK)
    return run


def import_stop(*, run_id: int, now: datetime) -> ImportRun:
    """Stops an import that is being written, after the batch under way: its worker finds its claim gone.
    `import_confirm` has it go on. `now` is aware UTC. Raises IllegalTransition for one that is not being written."""
    with transaction.atomic():
        run = _moved(run_id, Status.STOPPED)
        save(run, finished_at=now, claimed_at=None)
    return run


def import_discard(*, run_id: int, now: datetime) -> ImportRun:
    """Gives an import up before it was written, also while it is being read."""
    with transaction.atomic():
        run = _moved(run_id, Status.DISCARDED)
        ImportRow.objects.filter(run=run).delete()
        save(run, finished_at=now, claimed_at=None)
    return run


def _refuse_twin(run: ImportRun, code: str) -> None:
    """The same bytes read as another kind would make every debt in them a second time."""
    written = ImportRun.objects.filter(sha256=run.sha256, brand=run.brand_id, status__in=_BEGUN)
    twin = written.exclude(preset=code).first()
    if twin is not None:
        kind = twin.layout.get("name") or twin.preset
        reason = _("This very file was imported as “{kind}” before. As another kind its debts would be there twice.")
        raise SollecitoError(reason.format(kind=kind), code="imported_otherwise")


def _moved(run_id: int, target: str) -> ImportRun:
    """The import, locked and moved. Raises IllegalTransition for one that is elsewhere."""
    run = ImportRun.objects.select_for_update().filter(pk=run_id).first()
    if run is None:
        raise SollecitoError(_("There is no such import."), code="import_missing")
    check_transition(ImportRun.TRANSITIONS, what="import", source=run.status, target=target)
    if run.status == target:
        raise SollecitoError(_("That was asked for already."), code="asked_already")
    save(run, status=target)
    return run


def save(run: ImportRun, **values: Any) -> None:
    """Writes these columns and no others."""
    for name, value in values.items():
        setattr(run, name, value)
    run.save(update_fields=list(values))


def _with_shape(layout: Preset, table: Table) -> Preset:
    return replace(layout, encoding=table.shape.encoding, delimiter=table.shape.delimiter)
