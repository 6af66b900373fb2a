"""Settings from the environment: what is wrong is refused by name."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from dunning_site import env


@pytest.mark.parametrize(("value", "expected"), [("1", True), ("Yes", True), ("off", False), ("", False)])
def test_flags(monkeypatch: pytest.MonkeyPatch, value: str, expected: bool) -> None:
    monkeypatch.setenv("SOME_FLAG", value)
    assert env.flag("SOME_FLAG") is expected


def test_a_flag_that_is_neither_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_FLAG", "maybe")
    with pytest.raises(ImproperlyConfigured, match="SOME_FLAG"):
        env.flag("SOME_FLAG")


def test_a_number_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_NUMBER", "12 o'clock")
    with pytest.raises(ImproperlyConfigured, match="SOME_NUMBER"):
        env.number("SOME_NUMBER", 1)


def test_a_missing_variable_names_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_TEXT", raising=False)
    with pytest.raises(ImproperlyConfigured, match="SOME_TEXT"):
        env.text("SOME_TEXT")


def test_database_url_of_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB", "postgresql://ann:p%40ss@db.example:5433/dunning?sslmode=require")
    settings = env.database("DB")
    assert settings["USER"] == "ann"
    assert settings["PASSWORD"] == "p@ss"
    assert (settings["HOST"], settings["PORT"], settings["NAME"]) == ("db.example", "5433", "dunning")
    assert settings["OPTIONS"] == {"sslmode": "require"}


def test_database_url_of_a_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB", "postgresql://postgres@/dunning?host=%2Ftmp%2Fx")
    assert env.database("DB")["HOST"] == "/tmp/x"


def test_other_databases_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB", "sqlite:///db.sqlite3")
    with pytest.raises(ImproperlyConfigured, match="PostgreSQL is the only database"):
        env.database("DB")


def test_mail_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL", "smtp://user:secret@mail.example:587?tls=1")
    settings = env.mail("MAIL")
    assert (settings["EMAIL_HOST"], settings["EMAIL_PORT"]) == ("mail.example", 587)
    assert settings["EMAIL_USE_TLS"] is True
    assert settings["EMAIL_USE_SSL"] is False


def test_without_a_mail_url_there_is_no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL", "")
    assert env.mail("MAIL") == {"EMAIL_HOST": ""}


def test_a_mail_url_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL", "mailgun://key")
    with pytest.raises(ImproperlyConfigured, match="ANYMAIL"):
        env.mail("MAIL")
