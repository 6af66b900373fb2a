"""Fixtures of the scenarios."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.scenarios.life import Life


@pytest.fixture
def life(db: Any, stripe_world: Any, smtp_sink: Any, settings: Any) -> Iterator[Life]:
    """The product with its shipped texts and ladders, Stripe and a mail server, at noon of a Tuesday."""
    settings.STRIPE_TIMEOUT = 10
    with Life(stripe_world, smtp_sink).running() as running:
        yield running
