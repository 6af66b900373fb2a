"""Owns the closed table of what Twilio's error codes mean for a message and for the number it was for.

Codes as in Twilio's error dictionary (twilio.com/docs/api/errors): 2xxxx are answers to a request, 3xxxx and 63xxx
come with status callbacks as well.
"""

from requests.exceptions import ConnectionError as RequestsConnectionError
from requests.exceptions import ConnectTimeout, InvalidURL, MissingSchema, RequestException
from twilio.base.exceptions import TwilioRestException
from urllib3.exceptions import MaxRetryError, NameResolutionError, NewConnectionError

from campaigns.channels.base import ChannelError, Fate

#: The number does not exist, is no mobile, or has no such app: no message will ever reach it.
DEAD = frozenset(
    {
        21211,  # invalid 'To' number
        21214,  # 'To' number cannot be reached
        21217,  # number does not appear to be valid
        21614,  # 'To' is not a mobile number
        30005,  # unknown destination handset
        30006,  # landline or unreachable carrier
        63003,  # no such recipient on the channel (WhatsApp)
        63024,  # invalid recipient
    }
)
#: The recipient told Twilio or the carrier to stop.
OPTED_OUT = frozenset(
    {
        21610,  # replied STOP
        63050,  # WhatsApp user stopped marketing messages
    }
)
#: Settings or the account are wrong, or its credit is spent: the next message would fare no better.
_OUTAGE = frozenset(
    {
        10001,  # account is not active
        20003,  # authentication failed
        20404,  # no such account or resource
        21212,  # invalid 'From'
        21603,  # 'From' is missing
        21606,  # 'From' cannot send messages
        21659,  # 'From' is not a number of this account
        21660,  # 'From' belongs to another account
        21701,  # no such messaging service
        21703,  # the messaging service has no numbers
        30002,  # account suspended
        30034,  # unregistered number (US A2P 10DLC)
        63007,  # no such WhatsApp sender
    }
)
_TEMPORARY = frozenset(
    {
        14107,  # too many messages at once
        20429,  # too many requests
        21611,  # the number's queue is full
        30001,  # queue overflow
        30022,  # carrier's rate limit
        63018,  # WhatsApp rate limit
        63038,  # account's daily limit
    }
)


def classify(error: Exception) -> ChannelError:
    """A failure while one message was handed over. What the table does not hold is ambiguous."""
    words = f"{type(error).__name__}: {error}"[:400]
    if isinstance(error, TwilioRestException):
        return _answered(error)
    if isinstance(error, ConnectTimeout | InvalidURL | MissingSchema) or _never_connected(error):
        return ChannelError(words, fate=Fate.OUTAGE, code="twilio_unreachable")
    if isinstance(error, RequestException | OSError):
        return ChannelError(words, fate=Fate.AMBIGUOUS, code="twilio_connection_lost")
    return ChannelError(words, fate=Fate.AMBIGUOUS, code="twilio_unknown_error")


def _answered(error: TwilioRestException) -> ChannelError:
    status, code = int(error.status), int(error.code or 0)
    words = f"{code or status} {error.msg}"[:400]
    name = f"twilio_{code}" if code else f"http_{status}"
    if code in DEAD or code in OPTED_OUT:
        return ChannelError(
            words, fate=Fate.PERMANENT, code=name, dead_address=code in DEAD, opted_out=code in OPTED_OUT
        )
    if code in _TEMPORARY or status in (429, 503):
        return ChannelError(words, fate=Fate.TEMPORARY, code=name)
    if code in _OUTAGE or status in (401, 403, 404):
        return ChannelError(words, fate=Fate.OUTAGE, code=name)
    if status >= 500 or status < 400:  # broke off half-way, or a success nobody can read
        return ChannelError(words, fate=Fate.AMBIGUOUS, code=name)
    return ChannelError(words, fate=Fate.PERMANENT, code=name)


def _never_connected(error: BaseException) -> bool:
    """True if no connection came about, so nothing of the message was seen by anybody."""
    if not isinstance(error, RequestsConnectionError) or not error.args:
        return False
    reason = error.args[0]
    if isinstance(reason, MaxRetryError):
        return isinstance(reason.reason, NewConnectionError | NameResolutionError)
    return isinstance(reason, NewConnectionError)
