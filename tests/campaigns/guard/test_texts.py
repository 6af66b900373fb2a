import pytest

from campaigns.guard.policy import TEXTS
from campaigns.guard.texts import _COLLECTOR, _OPT_OUT, _STOP, Sender, add_to_html, add_to_text, missing
from campaigns.rendering import gsm

ACME = Sender("Acme Cloud", "Via Roma 1,\n20121 Milano", ("https://pay.example/stop/1:x", "https://pay.example/p/t"))


@pytest.mark.parametrize(
    ("required", "text", "channel", "language", "lines"),
    [
        ((), "Pay.", "email", "en", []),
        (("sender_name",), "Pay.", "sms", "en", ["Acme Cloud"]),
        (("sender_name",), "ACME  cloud: pay.", "sms", "en", []),
        (("postal_address",), "Pay.", "email", "en", ["Via Roma 1, 20121 Milano"]),
        (("postal_address",), "Acme, Via Roma 1, 20121\nMilano", "email", "en", []),
        (("opt_out_notice",), "Pay.", "sms", "en", ["Reply STOP to opt out"]),
        (("opt_out_notice",), "Pay.", "whatsapp", "pl", ["Rezygnacja: STOP"]),
        (("opt_out_notice",), "Pay. STOP = no more", "sms", "en", []),
        (("opt_out_notice",), "We had to stop your account.", "sms", "en", ["Reply STOP to opt out"]),
        (("opt_out_notice",), "Pay.", "email", "de", [f"{_OPT_OUT['de']} https://pay.example/stop/1:x"]),
        (("opt_out_notice",), "Preferences: https://pay.example/p/t", "email", "de", []),
        (("opt_out_notice",), "Pay.", "letter", "de", []),
        (("collector_notice",), "Pay.", "email", "en", [_COLLECTOR["en"]]),
        (("collector_notice",), "Pay.", "email", "es-MX", [_COLLECTOR["en"], _COLLECTOR["es"]]),
        (("collector_notice",), f"Pay.\n{_COLLECTOR['en']}", "email", "en", []),
        (("collector_notice",), "Pay.", "email", "cs", [_COLLECTOR["en"]]),
    ],
)
def test_what_a_message_still_has_to_say(
    required: tuple[str, ...], text: str, channel: str, language: str, lines: list[str]
) -> None:
    found = missing(required, text, channel, ACME, language)
    assert found == lines
    # Once said, it is not said again.
    assert missing(required, add_to_text(text, found), channel, ACME, language) == []


def test_it_stands_at_the_end_of_both_parts_and_nothing_in_it_is_markup() -> None:
    lines = missing(TEXTS, "Pay.", "email", Sender("A <b>& Co", "", ACME.ways_out), "en")
    html = add_to_html("<html><body><p>Pay.</p></body></html>", lines, ACME.ways_out)
    assert html.endswith("</p></body></html>")
    assert "A &lt;b&gt;&amp; Co<br>" in html
    assert '<a href="https://pay.example/stop/1:x">https://pay.example/stop/1:x</a>' in html
    assert add_to_html("", lines, ()) == ""
    assert add_to_html("<p>Pay.</p>", ["x"], ()).startswith("<p>Pay.</p><p")


@pytest.mark.parametrize("language", ["en", "it", "fr", "pl", "de", "es"])
def test_every_language_has_its_words_and_a_short_one_for_text_messages(language: str) -> None:
    assert {language} <= _STOP.keys() & _OPT_OUT.keys() & _COLLECTOR.keys()
    assert gsm.septets(gsm.spell(_STOP[language])) is not None
    assert len(_STOP[language]) <= 30
