"""The customers' mailboxes: what the SMTP sink has taken in."""

from email import message_from_bytes, policy

from dunning_site.demo.inhabitant import Mail
from dunning_site.embedded.environment import var
from dunning_site.mail_store import MailReader


class Mailbox:
    """Reads what is new since the last look."""

    def __init__(self) -> None:
        self._reader = MailReader(var() / "mail")
        self._seen = 0

    def count(self) -> int:
        """Mails that arrived, ever."""
        return len(self._reader.mails())

    def fetch(self) -> list[Mail]:
        """Mails that arrived since the last call."""
        mails = self._reader.mails()
        new, self._seen = mails[self._seen :], len(mails)
        return [Mail(mail.recipients[0], self._text(self._reader.content(mail))) for mail in new]

    def _text(self, raw: bytes) -> str:
        part = message_from_bytes(raw, policy=policy.default).get_body(("plain",))
        return str(part.get_content()) if part else ""
