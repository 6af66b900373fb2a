"""Owns the closed table of what can go wrong when a mail is handed over, and what each means for the mail."""

import re
import smtplib
from types import TracebackType

from anymail.exceptions import AnymailAPIError, AnymailError, AnymailRecipientsRefused
from requests.exceptions import ConnectTimeout

from campaigns.channels.base import ChannelError, Fate

#: The mailbox or its domain does not exist: RFC 3463 5.1.x and 5.2.1; without such a code, these three replies.
_DEAD_CODES = frozenset({550, 551, 553})
_ENHANCED = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
#: Wrong credentials or none: nothing about this mail, a person must mend the settings.
_HTTP_OUTAGE = frozenset({401, 403, 404})
_HTTP_TEMPORARY = frozenset({408, 409, 425, 429, 500, 503})
#: A gateway in between gave up waiting; the provider behind it may have accepted.
_HTTP_AMBIGUOUS = frozenset({502, 504})


def classify_connecting(error: Exception) -> ChannelError:
    """A failure before any mail was handed over: refused connection, unknown host, log-in refused."""
    return ChannelError(f"{type(error).__name__}: {error}"[:400], fate=Fate.OUTAGE, code="email_unreachable")


def classify(error: Exception) -> ChannelError:
    """A failure while one mail was handed over. What the table does not hold is ambiguous."""
    words = f"{type(error).__name__}: {error}"[:400]
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, reply = next(iter(error.recipients.values()))
        return _reply(code, reply, recipient=True)
    if isinstance(error, smtplib.SMTPSenderRefused):
        return _reply(error.smtp_code, error.smtp_error, recipient=False)
    if isinstance(error, smtplib.SMTPDataError):
        return _reply(error.smtp_code, error.smtp_error, recipient=True)
    if isinstance(error, smtplib.SMTPNotSupportedError | UnicodeError):
        return ChannelError(words, fate=Fate.PERMANENT, code="email_unwritable")
    if isinstance(error, smtplib.SMTPResponseException):
        return _reply(error.smtp_code, error.smtp_error, recipient=False)
    if isinstance(error, smtplib.SMTPServerDisconnected | OSError) and not isinstance(error, AnymailError):
        fate = Fate.AMBIGUOUS if _data_was_begun(error.__traceback__) else Fate.TEMPORARY
        return ChannelError(words, fate=fate, code="email_connection_lost")
    if isinstance(error, AnymailRecipientsRefused):
        return ChannelError(words, fate=Fate.PERMANENT, code="email_recipient_refused", dead_address=True)
    if isinstance(error, AnymailAPIError):
        return _api(error, words)
    if isinstance(error, AnymailError | ValueError):  # header injection, a feature the provider lacks
        return ChannelError(words, fate=Fate.PERMANENT, code="email_unwritable")
    return ChannelError(words, fate=Fate.AMBIGUOUS, code="email_unknown_error")


def _reply(code: int, reply: bytes | str, *, recipient: bool) -> ChannelError:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else str(reply)
    words = f"{code} {' '.join(text.split())}"[:400]
    if 400 <= code < 500:
        return ChannelError(words, fate=Fate.TEMPORARY, code=f"smtp_{code}")
    if code < 500:  # a success code inside an error: the server's side of it is unknown
        return ChannelError(words, fate=Fate.AMBIGUOUS, code=f"smtp_{code}")
    enhanced = _ENHANCED.search(text)
    if enhanced:
        dead = enhanced[1] == "5" and (enhanced[2] == "1" or (enhanced[2], enhanced[3]) == ("2", "1"))
    else:
        dead = code in _DEAD_CODES
    return ChannelError(words, fate=Fate.PERMANENT, code=f"smtp_{code}", dead_address=recipient and dead)


def _api(error: AnymailAPIError, words: str) -> ChannelError:
    status = error.status_code
    if status is None:
        cause = error.__cause__
        fate = Fate.OUTAGE if isinstance(cause, ConnectTimeout) else Fate.AMBIGUOUS
        return ChannelError(words, fate=fate, code="email_connection_lost")
    if status in _HTTP_OUTAGE:
        fate = Fate.OUTAGE
    elif status in _HTTP_TEMPORARY:
        fate = Fate.TEMPORARY
    elif status in _HTTP_AMBIGUOUS or status < 400:
        fate = Fate.AMBIGUOUS
    else:
        fate = Fate.PERMANENT if status < 500 else Fate.AMBIGUOUS
    return ChannelError(words, fate=fate, code=f"http_{status}")


def _data_was_begun(trace: TracebackType | None) -> bool:
    """True if the connection broke inside smtplib's DATA exchange: the server may have the whole mail.

    The exception itself is the same before and after it.
    """
    while trace is not None:
        if trace.tb_frame.f_code is smtplib.SMTP.data.__code__:
            return True
        trace = trace.tb_next
    return False
