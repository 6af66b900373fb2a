"""Secrets that must not reach the log."""

import logging

from dunning_site.logs import WithoutTokens

TOKEN = "k3yX-_" * 7 + "z"


def test_a_portal_address_is_logged_without_its_token() -> None:
    record = logging.LogRecord(
        "django.request", logging.WARNING, "", 0, "%s: %s", ("Not Found", f"/p/{TOKEN}/card/"), None
    )
    assert WithoutTokens().filter(record)
    assert record.getMessage() == "Not Found: /p/…/card/"


def test_other_lines_stay_as_they_were() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "%d of %d at /p/", (1, 2), None)
    assert WithoutTokens().filter(record)
    assert record.getMessage() == "1 of 2 at /p/"
