"""The learned strategy of these tests is a small one whose numbers can be worked out by hand."""

import pytest

from billing.retries import STRATEGIES
from billing.retries.champion import serving

WORLD = "tests.billing.retries.champion.world"


@pytest.fixture(autouse=True)
def learned(monkeypatch):
    """Registers it; call with a class name for another."""

    def register(name):
        monkeypatch.setitem(STRATEGIES._homes, "learned", f"{WORLD}:{name}")

    monkeypatch.setattr(serving, "_held", {})
    register("Approvals")
    return register
