"""The customers' mailboxes and telephones: what the sink of mails and texts has taken in."""

from dataclasses import dataclass
from email import message_from_bytes, policy

from dunning_site.embedded.environment import var
from dunning_site.mail_store import MailReader


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail or a text as it lay with the customer; `recipient` is an address or a number.

    `key` is the product's own name of a mail, `callback` where the network reports on a text.
    """

    recipient: str
    subject: str
    text: str
    reply_to: str = ""
    message_id: str = ""
    key: str = ""
    callback: str = ""

    @property
    def is_text(self) -> bool:
        """Whether it came by telephone."""
        return bool(self.callback)


class Mailbox:
    """Reads what is new since the last look."""

    def __init__(self) -> None:
        self._reader = MailReader(var() / "mail")
        self._seen = 0

    def count(self) -> int:
        """Mails that arrived by SMTP, ever."""
        return sum("@" in mail.recipients[0] for mail in self._reader.mails())

    def fetch(self) -> list[Mail]:
        """Mails and texts that arrived since the last call."""
        mails = self._reader.mails()
        new, self._seen = mails[self._seen :], len(mails)
        return [read(mail.recipients[0], self._reader.content(mail)) for mail in new]


def read(recipient: str, raw: bytes) -> Mail:
    """One stored mail or text."""
    mail = message_from_bytes(raw, policy=policy.default)
    part = mail.get_body(("plain",))

    def header(name: str) -> str:
        # A long value begins on a line of its own: what folds it is no part of it.
        return str(mail[name] or "").strip()

    return Mail(
        recipient=recipient,
        subject=header("Subject"),
        text=str(part.get_content()) if part else "",
        reply_to=header("Reply-To"),
        message_id=header("Message-ID") or header("X-Message-Sid"),
        key=header("X-Sollecito-Message"),
        callback=header("X-Status-Callback"),
    )
