"""A Twilio for tests: the embedded Messages resource, with numbers that decide what becomes of a message.

What was taken is in `messages`. `callback` makes the form fields and the signature Twilio would post.
"""

import time
from typing import Any

from twilio.request_validator import RequestValidator

from dunning_site.embedded.twilio_sink import Answer, MessagesResource, refusal

SID = "AC" + "1" * 32
TOKEN = "auth-token-for-tests"

#: Number → HTTP status, Twilio's code, its words. As in Twilio's error dictionary.
FATES = {
    "+393331110001": (400, 21211, "The 'To' number +393331110001 is not a valid phone number."),
    "+393331110002": (400, 21610, "Attempt to send to unsubscribed recipient"),
    "+393331110003": (429, 20429, "Too Many Requests"),
    "+393331110004": (401, 20003, "Authenticate"),
    "+393331110005": (500, 20500, "An internal server error has occurred"),
    "+393331110006": (400, 21608, "The number is unverified."),
    "+393331110007": (503, 20503, "Service unavailable"),
}
#: Taken, and then no answer: the client gives up.
SILENT = "+393331110008"
#: Taken, and the connection breaks before the answer.
BREAKS = "+393331110009"


class TwilioWorld(MessagesResource):
    """Context manager: the server and what it was given."""

    account_sid, auth_token = SID, TOKEN

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[dict[str, str]] = []
        #: Requests refused for wrong credentials or an address no Twilio has.
        self.strangers = 0

    def __enter__(self) -> "TwilioWorld":
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def answer(self, path: str, authorization: str, fields: dict[str, str]) -> Answer:
        answer = super().answer(path, authorization, fields)
        number = fields.get("To", "").removeprefix("whatsapp:")
        self.strangers += answer is not None and answer[0] in (401, 404) and number not in FATES
        return answer

    def take(self, fields: dict[str, str]) -> Answer:
        number = fields.get("To", "").removeprefix("whatsapp:")
        if number in FATES:
            return refusal(*FATES[number])
        sid = f"SM{len(self.messages):032d}"
        self.messages.append(fields | {"sid": sid})
        if number == BREAKS:
            return None
        if number == SILENT:
            time.sleep(1.2)  # longer than the client's patience in these tests
        return self.created(fields, sid, "Tue, 10 Mar 2026 12:00:00 +0000")


def callback(url: str, fields: dict[str, str], *, token: str = TOKEN) -> dict[str, Any]:
    """Arguments of django.test.Client.post for a callback to the public address `url`."""
    signature = RequestValidator(token).compute_signature(url, fields)
    return {"data": fields, "headers": {"X-Twilio-Signature": signature}}
