"""The benchmark of the escalate loop runs on today's schema: it writes its rows by SQL of its own."""

import pytest

from benchmarks import engine


@pytest.mark.django_db(transaction=True)
def test_the_engine_is_measured_beside_the_floor_and_the_naive_loop(monkeypatch):
    monkeypatch.setattr(engine, "TEXTS", 2)
    found = engine.run([6], batch_size=4, naive_sample=2, workers=1, progress=lambda _text: None)
    (size,) = found["sizes"]
    assert (size["cases"], size["naive_sample"]) == (6, 2)
    assert size["queries_per_batch"] > 0
