import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.guard.keywords import _BY_MAIL, _BY_TEXT, Opt, Wish, above_quote, parse_opt_out


@pytest.mark.parametrize(
    ("text", "keyword", "language"),
    [
        ("STOP", "stop", "en"),
        (" stop. ", "stop", "en"),
        ("Stop!!!", "stop", "en"),
        ("“STOP”", "stop", "en"),
        ("STOP please", "stop", "en"),
        ("Please stop, thank you", "stop", "en"),
        ("STOP SMS", "stop sms", "en"),
        ("stop\nI have told you already", "stop", "en"),
        ("Unsubscribe", "unsubscribe", "en"),
        ("STOPALL", "stopall", "en"),
        ("opt-out", "opt out", "en"),
        ("Cancel", "cancel", "en"),
        ("END", "end", "en"),
        ("Quit", "quit", "en"),
        ("Revoke", "revoke", "en"),
        ("Don't contact me again", "dont contact me again", "en"),
        ("Don’t contact me", "dont contact me", "en"),
        ("Basta!", "basta", "it"),
        ("Non contattatemi più, grazie", "non contattatemi piu", "it"),
        ("annulla", "annulla", "it"),
        ("ARRÊT", "arret", "fr"),
        ("Désabonnement svp", "desabonnement", "fr"),
        ("Ne me contactez plus s'il vous plaît", "ne me contactez plus", "fr"),
        ("Proszę wypisz mnie", "wypisz mnie", "pl"),
        ("Cofam zgodę", "cofam zgode", "pl"),
        ("USUŃ MNIE", "usun mnie", "pl"),
        ("Abmelden", "abmelden", "de"),
        ("Bitte keine SMS mehr", "keine sms mehr", "de"),
        ("STOPP", "stopp", "de"),
        ("BAJA", "baja", "es"),
        ("No me contacten más, por favor", "no me contacten mas", "es"),
    ],
)
def test_refusals_by_text(text: str, keyword: str, language: str) -> None:
    assert parse_opt_out(text, "sms") == Opt(Wish.OUT, keyword, language)
    assert parse_opt_out(text, "whatsapp") == Opt(Wish.OUT, keyword, language)


@pytest.mark.parametrize("text", ["START", "start!", "Unstop", "Riprendi", "Reprendre", "Wznów", "Fortsetzen", "ALTA"])
def test_who_wants_to_hear_from_us_again_by_text(text: str) -> None:
    opt = parse_opt_out(text, "sms")
    assert opt is not None
    assert opt.wish is Wish.IN
    assert parse_opt_out(text, "email") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n ",
        "?!",
        "Please stop charging my old card",
        "Stop, I have paid already",
        "Cancel my subscription",
        "Can you stop by tomorrow?",
        "I will pay at the end of the month",
        "yes",
        "Yes, go on",
        "It is fine",
        "fine",
        "Non-stop problems with your service",
        "The bus stop",
        "stop stop-payment order at my bank",
        "Wann endet mein Abo? Ende März?",
        "no",
        "👍",
        "Unsubscribe me from the product, refund me, and explain in detail why I was charged twice last month stop",
    ],
)
@pytest.mark.parametrize("channel", ["sms", "email"])
def test_what_is_no_refusal_of_messages(text: str, channel: str) -> None:
    assert parse_opt_out(text, channel) is None


@pytest.mark.parametrize("text", ["Cancel", "end", "Quit", "annulla", "résilier", "koniec", "Ende", "cancelar"])
def test_by_mail_a_word_that_may_mean_the_subscription_is_left_to_a_person(text: str) -> None:
    assert parse_opt_out(text, "email") is None
    assert parse_opt_out(text, "sms") is not None


QUOTES = [
    "> To stop these mails, unsubscribe here\n> Unsubscribe",
    "On Tue, 10 Mar 2026 at 12:00, Acme Billing <billing@acme.example> wrote:\n> unsubscribe",
    "On Tue, 10 Mar 2026 at 12:00, Acme Billing Department\n<billing@acme.example> wrote:\nunsubscribe",
    "Il giorno mar 10 mar 2026 alle ore 12:00 Acme <a@b.example> ha scritto:\nunsubscribe",
    "Le mar. 10 mars 2026 à 12:00, Acme <a@b.example> a écrit :\nunsubscribe",
    "W dniu wt., 10 mar 2026 o 12:00 Acme <a@b.example> napisał(a):\nunsubscribe",
    "Am Di., 10. März 2026 um 12:00 Uhr schrieb Acme <a@b.example>:\nunsubscribe",
    "El mar, 10 mar 2026 a las 12:00, Acme (<a@b.example>) escribió:\nunsubscribe",
    "-----Original Message-----\nunsubscribe",
    "-----Ursprüngliche Nachricht-----\nunsubscribe",
    "From: Acme Billing\nSent: Tuesday\nunsubscribe",
    "Von: Acme\nunsubscribe",
    "________________________________\nunsubscribe",
    "-- \nunsubscribe",
]


@pytest.mark.parametrize("quote", QUOTES)
def test_of_a_mail_only_what_its_author_wrote_counts(quote: str) -> None:
    assert above_quote(f"I paid yesterday.\n\n{quote}").strip() == "I paid yesterday."
    assert parse_opt_out(f"I paid yesterday.\n\n{quote}", "email") is None
    assert parse_opt_out(quote, "email") is None
    assert parse_opt_out(f"Unsubscribe\n\n{quote}", "email") == Opt(Wish.OUT, "unsubscribe", "en")


@pytest.mark.parametrize(
    "text",
    [
        "Hi,\n\nplease unsubscribe me.\n\nThanks\nAnna",
        "Dear Acme team,\nplease remove me from your mailing list\n",
        "Buongiorno,\ncancellatemi dalla lista.\nAnna Bianchi",
        "Bonjour Madame,\n\nMerci, désinscrivez-moi.",
        "Dzień dobry,\nproszę wypiszcie mnie",
        "Sehr geehrte Damen und Herren,\nbitte tragen Sie mich aus.\nMfG",
        "Hola,\nquiero darme de baja.",
    ],
)
def test_a_polite_mail_is_understood(text: str) -> None:
    opt = parse_opt_out(text, "email")
    assert opt is not None
    assert opt.wish is Wish.OUT


@pytest.mark.parametrize("channel", ["call", "letter", "in_app", "webhook"])
def test_other_channels_have_no_stop_words(channel: str) -> None:
    assert parse_opt_out("STOP", channel) is None


@pytest.mark.parametrize("phrase", sorted({*_BY_MAIL, *_BY_TEXT}))
def test_every_phrase_is_found_as_it_is_spelled(phrase: str) -> None:
    assert parse_opt_out(phrase.upper(), "sms") == _BY_TEXT[phrase]


def test_no_phrase_means_two_things() -> None:
    # `setdefault` keeps the first: an opt-in spelled like an opt-out would silently be the opt-out.
    counted: dict[str, set[Wish]] = {}
    for opt in _BY_TEXT.values():
        counted.setdefault(opt.keyword, set()).add(opt.wish)
    assert all(len(wishes) == 1 for wishes in counted.values())
    assert {opt.language for opt in _BY_TEXT.values()} == {"en", "it", "fr", "pl", "de", "es"}


@given(st.text(max_size=400), st.sampled_from(["sms", "email", "whatsapp", "call"]))
def test_no_text_breaks_the_reading(text: str, channel: str) -> None:
    opt = parse_opt_out(text, channel)
    assert opt is None or opt.keyword


@given(st.text(max_size=80), st.sampled_from(QUOTES))
def test_a_quoted_mail_never_speaks_for_its_reader(own: str, quote: str) -> None:
    assert parse_opt_out(f"{own}\n{quote}", "email") == parse_opt_out(f"{own}\n-- \n", "email")


@pytest.mark.parametrize("piece", ["-", "schrieb", "on ", "wrote ", " ", "*from", "_", "> ", "am\n"])
def test_a_strangers_line_is_read_in_proportion_to_its_length(piece: str) -> None:
    """Twenty thousand dashes held up the process for a minute and a half."""
    began = time.process_time()
    above_quote(piece * (30_000 // len(piece)) + "x")
    assert time.process_time() - began < 5
