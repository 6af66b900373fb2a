"""Imported files are deleted when they were kept long enough; the history and what was written stay."""

from datetime import timedelta

import pytest

from billing.imports.retention import imports_tidy
from billing.imports.runs import import_confirm, import_stop
from billing.models import ImportRow, ImportRun, Invoice
from customers.errors import SollecitoError
from customers.models import DataFile
from tests import factories as make
from tests.billing.imports.test_work import HEAD, finish, row, start, take_in

pytestmark = pytest.mark.django_db
NOW = make.NOW


def test_file_and_rows_go_on_their_day_and_the_history_stays(settings, caplog):
    settings.IMPORT_FILES_KEPT_DAYS = 5
    run = take_in(HEAD + row(1) + row(2, "broken"))
    end = NOW + timedelta(days=5)
    assert imports_tidy(now=end - timedelta(seconds=1)) == 0
    assert ImportRow.objects.count() == 2
    with caplog.at_level("INFO"):
        assert imports_tidy(now=end) == 1
    assert "file and 2 rows deleted after 5 days" in caplog.text
    assert imports_tidy(now=end) == 0
    run.refresh_from_db()
    assert (run.status, run.file, run.tidied_at, run.rejected, len(run.sha256)) == ("done", None, end, 1, 64)
    assert not DataFile.objects.exists()
    assert not ImportRow.objects.exists()
    assert Invoice.objects.get().number == "N-1"


def test_what_nobody_confirmed_is_put_aside_and_what_is_under_way_is_left_alone():
    late = NOW + timedelta(days=30)
    waiting, stopped, busy = (finish(start(HEAD + row(number))) for number in (1, 2, 3))
    for run in (stopped, busy):
        import_confirm(run_id=run.pk, now=NOW)
    import_stop(run_id=stopped.pk, now=NOW)
    assert imports_tidy(now=late) == 2
    states = ImportRun.objects.order_by("pk").values_list("status", flat=True)
    assert list(states) == ["discarded", "stopped", "writing"]
    with pytest.raises(SollecitoError, match="not kept any more"):
        import_confirm(run_id=stopped.pk, now=late)
    assert finish(busy, late).status == "done"
    waiting.refresh_from_db()
    assert waiting.finished_at == late
