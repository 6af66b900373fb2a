"""docs/retries.md tells the truth about the tables in the code."""

from pathlib import Path

from billing.retries import STRATEGIES
from billing.retries.decline_table import TABLE
from billing.retries.limits import RULES
from billing.retries.network_fees import FEES, Fee
from billing.retries.strategies import RECOVERY_PRIORS
from billing.retries.taxonomy import Category

TEXT = (Path(__file__).parents[3] / "docs" / "retries.md").read_text()


def test_every_limit_is_documented_with_its_numbers():
    for rule in RULES:
        row = next(line for line in TEXT.splitlines() if line.startswith(f"| `{rule.id}`"))
        window = "24 hours" if rule.window_days == 1 else f"{rule.window_days} days"
        assert f"| {rule.limit} | {window} |" in row
        if rule.valid_from:
            assert rule.valid_from.isoformat() in row


def test_every_fee_is_documented_with_its_amount_and_day():
    for rule in FEES:
        assert Fee(rule.mills, rule.currency, "").text.split()[0] in TEXT
        assert rule.valid_from.isoformat() in TEXT


def test_every_category_strategy_and_figure_is_documented():
    assert f"The table holds {len(TABLE)} codes" in TEXT
    assert all(f"\n| `{category}` |" in TEXT for category in Category)
    assert all(f"**{name}**" in TEXT for name in STRATEGIES)
    assert all(f"{share:.0%}" in TEXT for share in RECOVERY_PRIORS.values())
