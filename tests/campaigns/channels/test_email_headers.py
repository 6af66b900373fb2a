"""List-Unsubscribe as RFC 2369 and RFC 8058 want it."""

from typing import Any

import pytest

from campaigns.channels.base import Outgoing
from campaigns.channels.email import compose
from tests.factories import NOW


def outgoing(**fields: Any) -> Outgoing:
    values: dict[str, Any] = {
        "message_id": 1, "key": "k", "recipient": "a@b.example", "recipient_name": "", "from_email": "c@d.example",
        "from_name": "", "reply_to": "", "subject": "s", "text": "t", "html": "", "language": "en", "at": NOW,
    }  # fmt: skip
    return Outgoing(**(values | fields))


@pytest.mark.parametrize(
    ("url", "listed", "post"),
    [
        ("https://pay.example.com/p/stop/mail/1:x/", True, "List-Unsubscribe=One-Click"),
        # Without TLS a mail program may open the page, but must not post to it.
        ("http://127.0.0.1:8000/p/stop/mail/1:x/", True, None),
        ("", False, None),
    ],
)
def test_one_click_is_offered_over_https_only(url: str, listed: bool, post: str | None) -> None:
    headers = compose(outgoing(unsubscribe_url=url)).message()
    assert headers["List-Unsubscribe"] == (f"<{url}>" if listed else None)
    assert headers["List-Unsubscribe-Post"] == post
