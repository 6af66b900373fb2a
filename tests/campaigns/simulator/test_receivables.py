"""A ladder on past receivables: counted again by hand from the file, the same twice, and without a database."""

import csv
import json
from collections import defaultdict
from datetime import date, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

FILE = Path(__file__).parents[2] / "data" / "ibm-accounts-receivable.csv"
HEADINGS = "invoiceNumber,customerID,InvoiceDate,DueDate,InvoiceAmount,Disputed,SettledDate"


def run(path, *args, **options):
    out = StringIO()
    call_command("simulate_ladder", *args, receivables=path, json=True, stdout=out, **options)
    return json.loads(out.getvalue())


def file_of(tmp_path, *rows):
    path = tmp_path / "past.csv"
    path.write_text("\n".join([HEADINGS, *rows]))
    return path


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """Every invoice of twenty customers."""
    with FILE.open() as text:
        rows = list(csv.DictReader(text))
    customers = sorted({row["customerID"] for row in rows})[:20]
    path = tmp_path_factory.mktemp("past") / "slice.csv"
    with path.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(row for row in rows if row["customerID"] in customers)
    return path


def test_one_invoice_day_by_day(tmp_path):
    # Due on Thursday 1 March; three days after its last moment is Sunday night, so Monday 9:00; ten days after
    # likewise; settled on the 15th, three days after the second reminder.
    path = file_of(tmp_path, "1,A,2/1/2012,3/1/2012,100.00,No,3/15/2012")
    (told,) = run(path, "invoice_overdue")["ladders"]
    assert told["per_day"] == {
        "2012-03-05": {"email": 1},
        "2012-03-12": {"email": 1},
        "2012-03-15": {"receipt": 1},
    }
    assert told["by_days_from_due"] == {"4": 1, "11": 1}
    assert (told["reminders"], told["reminders_paid_soon"], told["invoices_paid_soon"]) == (2, 1, 1)
    assert (told["opened"], told["recovered"], told["ended"]) == (1, 1, 0)


@pytest.mark.parametrize(
    ("settled", "reminders", "soon"),
    [
        ("3/5/2012", 0, 0),  # the day the first reminder would have gone
        ("3/6/2012", 1, 1),
        ("3/8/2012", 1, 1),
        ("3/9/2012", 1, 0),
        ("2/20/2012", 0, 0),
        ("", 4, 0),
    ],
)
def test_paid_soon_is_three_days(tmp_path, settled, reminders, soon):
    path = file_of(tmp_path, f"1,A,2/1/2012,3/1/2012,100.00,No,{settled}")
    (told,) = run(path, "invoice_overdue")["ladders"]
    assert (told["reminders"], told["invoices_paid_soon"]) == (reminders, soon)


def test_the_same_numbers_twice_and_with_two_processes(sample):
    first = run(sample, processes=1)
    assert first == run(sample, processes=1) == run(sample, processes=2)
    assert [ladder["ladder"] for ladder in first["ladders"]] == ["card_failed_b2b", "invoice_due", "invoice_overdue"]
    assert first["customers"] == 20


def test_who_was_late_alone_is_counted_again_by_hand(sample, tmp_path):
    """Customers never late with two invoices at once: each invoice is a case of its own, easy to count."""
    with sample.open() as text:
        rows = [row for row in csv.DictReader(text) if row["Disputed"] == "No"]
    late = defaultdict(list)
    for row in rows:
        due, settled = _day(row["DueDate"]), _day(row["SettledDate"])
        if settled > due:
            late[row["customerID"]].append((due, settled))
    alone = {
        customer
        for customer, spans in late.items()
        if all(a[1] <= b[0] or b[1] <= a[0] for i, a in enumerate(spans) for b in spans[i + 1 :])
    }
    assert len(alone) >= 5
    path = tmp_path / "alone.csv"
    with path.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(row for row in rows if row["customerID"] in alone)
    (told,) = run(path, "invoice_overdue")["ladders"]
    expected = defaultdict(int)
    for customer in alone:
        for due, settled in late[customer]:
            for days in (3, 10, 21):
                # One second before midnight: the window is over, so the next day, or the Monday after.
                sent = due + timedelta(days=days + 1)
                while sent.isoweekday() > 5:
                    sent += timedelta(days=1)
                if sent < settled:
                    expected[str((sent - due).days)] += 1
    assert told["by_days_from_due"] == dict(expected)
    assert told["reminders"] == sum(expected.values()) > 10


def _day(text: str) -> date:
    return datetime.strptime(text, "%m/%d/%Y").date()  # noqa: DTZ007


def test_what_is_disputed_is_left_alone(tmp_path):
    path = file_of(tmp_path, "1,A,2/1/2012,3/1/2012,100.00,Yes,4/15/2012")
    found = run(path, "invoice_overdue")
    assert found["disputed_left_alone"] == 1
    assert found["ladders"][0]["reminders"] == 0


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["1,A,2/1/2012,soon,100.00,No,"], "DueDate"),
        (["1,A,2/1/2012,3/1/2012,100.00,No,", "1,A,2/1/2012,3/1/2012,100.00,No,"], "row 1 already"),
    ],
)
def test_a_bad_file_is_refused_with_the_place(tmp_path, rows, words):
    with pytest.raises(CommandError, match=words):
        run(file_of(tmp_path, *rows), "invoice_overdue")


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("a,b,c\n1,2,3\n", {}, "No preset reads the columns a, b, c"),
        ("a,b,c\n1,2,3\n", {"preset": "ibm"}, "has no column invoiceNumber, InvoiceAmount"),
        # Words a column could be guessed by: what a person would have to confirm is not played.
        ("Invoice no,Client,Total,Invoice date,Due on\n1,A,100.00,2012-02-01,2012-03-01\n", {}, "No preset reads"),
        ("a,b\n1,2\n", {}, "No row of headings was found"),
        ("", {}, "The file is empty"),
        (
            "id,Customer ID,Amount,Currency,Created (UTC),Status\nch_1,cus_1,10.00,usd,2012-02-01 10:00,Failed\n",
            {},
            "no row is an invoice",
        ),
    ],
)
def test_a_file_without_invoices_it_knows_is_refused(tmp_path, text, options, words):
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(CommandError, match=words):
        run(path, "invoice_overdue", **options)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(CommandError, match="cannot be read"):
        run(tmp_path / "none.csv", "invoice_overdue")


@pytest.mark.django_db
def test_an_unknown_ladder_is_refused_with_those_there_are(tmp_path):
    path = file_of(tmp_path, "1,A,2/1/2012,3/1/2012,100.00,No,")
    with pytest.raises(CommandError, match="invoice_overdue"):
        run(path, "nonsense")
