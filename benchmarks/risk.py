"""How well late payment is foretold on the IBM receivables, by a time split: `python -m benchmarks.risk [--json]`.

2,466 invoices of 100 customers, 2012-2013 (IBM Watson Analytics sample data, widely republished). Learned from the
oldest 60 % by date of issue, calibrated by the next 20 %, judged on the newest 20 %. An invoice is described by what
was known before the day it was issued: payments after that day count for none of its features, and a training invoice
counts only if its grace had passed by the cut.
"""

import argparse
import csv
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from insights.risk.history import FEATURES, Bill
from insights.risk.learning import Learned, learn

FILE = Path(__file__).parent.parent / "tests" / "data" / "ibm-accounts-receivable.csv"
#: Days after the due date from which an invoice is late: the file's own meaning, and the one the product counts by.
GRACES = (0, 7)


def _days(text: str) -> float:
    return datetime.strptime(text, "%m/%d/%Y").replace(tzinfo=UTC).timestamp() / 86_400


def bills_of(path: Path, grace: float) -> list[Bill]:
    """The file's invoices. Dates are US dates; amounts are dollars. A dispute has no date of its own there: it counts
    from the day the invoice was settled."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    payers: dict[str, int] = {}
    return [
        Bill(
            key=number,
            payer=payers.setdefault(row["customerID"], len(payers)),
            issued=_days(row["InvoiceDate"]),
            due=_days(row["DueDate"]),
            late_at=_days(row["DueDate"]) + grace,
            paid=_days(row["SettledDate"]),
            amount=float(row["InvoiceAmount"]),
            currency="USD",
            disputed=_days(row["SettledDate"]) if row["Disputed"] == "Yes" else None,
        )
        for number, row in enumerate(rows)
    ]


def run(path: Path) -> dict[str, Any]:
    """Figures by grace in days, as plain data."""
    result: dict[str, Any] = {"file": path.name}
    for grace in GRACES:
        bills = bills_of(path, grace)
        started = time.perf_counter()
        learned = learn(bills, (), max(bill.known_at for bill in bills) + 1)
        took = time.perf_counter() - started
        if not isinstance(learned, Learned):
            result[f"grace_{grace}"] = {"thin": learned.needed}
            continue
        effects = sorted(zip(FEATURES, learned.model.weights.tolist(), strict=True), key=lambda e: -abs(e[1]))
        result[f"grace_{grace}"] = {
            "invoices": len(bills),
            "judged": learned.figures["invoices"],
            "judged_late": learned.figures["late"],
            **{
                name: {key: round(learned.figures[name][key], 4) for key in ("auc", "brier", "log_loss")}
                for name in ("model", "base", "last")
            },
            "log_loss_difference_to_base": learned.figures["difference"],
            "log_loss_difference_to_last": learned.figures["difference_last"],
            "weights": {name: round(weight, 3) for name, weight in effects},
            "seconds": round(took, 2),
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", default=FILE, help="another file of the same columns")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    asked = parser.parse_args()
    print(json.dumps(run(asked.file), indent=None if asked.json else 2))  # noqa: T201


if __name__ == "__main__":
    main()
