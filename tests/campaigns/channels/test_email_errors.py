import smtplib
from types import SimpleNamespace

import pytest
from anymail.exceptions import AnymailRecipientsRefused, AnymailRequestsAPIError, AnymailUnsupportedFeature
from requests.exceptions import ConnectTimeout, ReadTimeout

from campaigns.channels.base import Fate
from campaigns.channels.email_errors import classify


def refused(code: int, text: bytes) -> smtplib.SMTPRecipientsRefused:
    return smtplib.SMTPRecipientsRefused({"a@b.example": (code, text)})


@pytest.mark.parametrize(
    ("error", "fate", "dead"),
    [
        (refused(550, b"5.1.1 no such user"), Fate.PERMANENT, True),
        (refused(550, b"no such user"), Fate.PERMANENT, True),
        (refused(550, b"5.2.1 mailbox disabled"), Fate.PERMANENT, True),
        (refused(550, b"5.7.1 rejected by policy"), Fate.PERMANENT, False),
        (refused(552, b"5.2.2 over quota"), Fate.PERMANENT, False),
        (refused(554, b"transaction failed"), Fate.PERMANENT, False),
        (refused(451, b"4.7.1 greylisted"), Fate.TEMPORARY, False),
        (refused(452, b"too many"), Fate.TEMPORARY, False),
        (smtplib.SMTPSenderRefused(550, b"5.1.8 bad sender", "x@y.z"), Fate.PERMANENT, False),
        (smtplib.SMTPSenderRefused(451, b"later", "x@y.z"), Fate.TEMPORARY, False),
        (smtplib.SMTPDataError(554, b"5.7.1 spam"), Fate.PERMANENT, False),
        (smtplib.SMTPDataError(550, b"5.1.1 unknown"), Fate.PERMANENT, True),
        (smtplib.SMTPDataError(451, b"4.3.0 later"), Fate.TEMPORARY, False),
        (smtplib.SMTPDataError(250, b"what"), Fate.AMBIGUOUS, False),
        (smtplib.SMTPResponseException(421, b"closing"), Fate.TEMPORARY, False),
        (smtplib.SMTPNotSupportedError("SMTPUTF8"), Fate.PERMANENT, False),
        (smtplib.SMTPServerDisconnected("before the mail"), Fate.TEMPORARY, False),
        (ConnectionResetError(), Fate.TEMPORARY, False),
        (UnicodeEncodeError("ascii", "ł", 0, 1, "x"), Fate.PERMANENT, False),
        (ValueError("header"), Fate.PERMANENT, False),
        (KeyError("nobody foresaw this"), Fate.AMBIGUOUS, False),
        (AnymailUnsupportedFeature("x"), Fate.PERMANENT, False),
        (AnymailRecipientsRefused("x"), Fate.PERMANENT, True),
    ],
)
def test_the_table(error: Exception, fate: Fate, dead: bool) -> None:
    found = classify(error)
    assert (found.fate, found.dead_address) == (fate, dead)
    assert found.message
    assert found.permanent is (fate is Fate.PERMANENT)


@pytest.mark.parametrize(
    ("status", "fate"),
    [
        (400, Fate.PERMANENT),
        (401, Fate.OUTAGE),
        (403, Fate.OUTAGE),
        (422, Fate.PERMANENT),
        (429, Fate.TEMPORARY),
        (500, Fate.TEMPORARY),
        (502, Fate.AMBIGUOUS),
        (503, Fate.TEMPORARY),
        (504, Fate.AMBIGUOUS),
        (599, Fate.AMBIGUOUS),
    ],
)
def test_a_providers_answers(status: int, fate: Fate) -> None:
    response = SimpleNamespace(status_code=status, reason="x", text="", url="", request=None)
    error = AnymailRequestsAPIError("x", response=response)
    assert classify(error).fate is fate


@pytest.mark.parametrize(("cause", "fate"), [(ConnectTimeout(), Fate.OUTAGE), (ReadTimeout(), Fate.AMBIGUOUS)])
def test_a_provider_that_does_not_answer(cause: Exception, fate: Fate) -> None:
    error = AnymailRequestsAPIError("x")
    error.__cause__ = cause
    assert classify(error).fate is fate
