"""Owns how long imported files are kept: then the file and its rows as they stood are deleted; the history stays.

What the rows wrote, invoices and customers, is no copy of the file: it lives on under its own rules.
"""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from billing.imports.runs import Status, save
from billing.models import ImportRow, ImportRun
from customers.models import DataFile

logger = logging.getLogger(__name__)

#: Imports a worker has under way keep what they need.
_BUSY = (Status.CHECKING, Status.WRITING)
#: What waited for somebody who never came.
_WAITING = (Status.MAPPING, Status.CHECKED)
_BATCH = 200


def imports_tidy(*, now: datetime) -> int:
    """Deletes files and rows of imports older than IMPORT_FILES_KEPT_DAYS at `now` (aware UTC); those nobody confirmed
    are put aside. Returns of how many imports, at most a batch: call it until there is none."""
    before = now - timedelta(days=settings.IMPORT_FILES_KEPT_DAYS)
    old = ImportRun.objects.filter(tidied_at__isnull=True, created_at__lte=before).exclude(status__in=_BUSY)
    found = list(old.order_by("created_at").values_list("pk", flat=True)[:_BATCH])
    return sum(_tidied(run_id, now) for run_id in found)


def _tidied(run_id: int, now: datetime) -> bool:
    with transaction.atomic():
        waits = ImportRun.objects.filter(pk=run_id, tidied_at__isnull=True).exclude(status__in=_BUSY)
        run = waits.select_for_update(skip_locked=True).first()
        if run is None:  # another worker has it, or somebody just confirmed it
            return False
        rows, _models = ImportRow.objects.filter(run=run).delete()
        if run.file_id is not None:
            DataFile.objects.filter(pk=run.file_id).delete()
        if run.status in _WAITING:
            save(run, status=Status.DISCARDED, finished_at=now)
        save(run, file=None, tidied_at=now)
    logger.info("import %s: file and %s rows deleted after %s days", run_id, rows, settings.IMPORT_FILES_KEPT_DAYS)
    return True
