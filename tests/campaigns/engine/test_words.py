"""Phrases of the engine follow the active language and are looked up once per batch."""

from django.utils import translation

from campaigns.engine import words
from campaigns.engine.words import one_language, phrase


def test_a_phrase_is_looked_up_once_per_batch(monkeypatch):
    asked = []
    monkeypatch.setattr(words, "gettext", lambda text: asked.append(text) or text.upper())
    with one_language():
        assert [phrase("a"), phrase("a"), phrase("b")] == ["A", "A", "B"]
    assert asked == ["a", "b"]
    phrase("a")
    assert asked == ["a", "b", "a"]


def test_the_next_batch_may_speak_another_language():
    heard = []
    for language in ("en", "it"):
        with translation.override(language), one_language():
            heard.append((phrase("Sunday"), phrase("Sunday")))
    assert heard == [("Sunday", "Sunday"), ("Domenica", "Domenica")]
