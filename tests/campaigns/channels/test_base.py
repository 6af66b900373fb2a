"""Which channels are set up."""

from typing import Any

import pytest

from campaigns.channels.base import closed_channels

SMTP = "django.core.mail.backends.smtp.EmailBackend"
ALL_SET = {
    "EMAIL_BACKEND": SMTP,
    "EMAIL_HOST": "mail.example.com",
    "TWILIO_ACCOUNT_SID": "AC1",
    "TWILIO_AUTH_TOKENS": ["token"],
    "TWILIO_API_KEY": "",
    "TWILIO_API_SECRET": "",
    "TWILIO_SMS_FROM": "+15005550006",
    "TWILIO_WHATSAPP_FROM": "+15005550007",
}


@pytest.mark.parametrize(
    ("changed", "closed"),
    [
        ({}, {}),
        ({"EMAIL_HOST": ""}, {"email": "EMAIL_URL"}),
        ({"TWILIO_SMS_FROM": ""}, {"sms": "TWILIO_SMS_FROM"}),
        ({"TWILIO_WHATSAPP_FROM": ""}, {"whatsapp": "TWILIO_WHATSAPP_FROM"}),
        ({"TWILIO_AUTH_TOKENS": []}, {"sms": "TWILIO_AUTH_TOKENS", "whatsapp": "TWILIO_AUTH_TOKENS"}),
        ({"TWILIO_API_KEY": "SK1"}, {"sms": "TWILIO_API_SECRET", "whatsapp": "TWILIO_API_SECRET"}),
        ({"TWILIO_API_KEY": "SK1", "TWILIO_API_SECRET": "s", "TWILIO_AUTH_TOKENS": []}, {}),
        (
            {"TWILIO_ACCOUNT_SID": "", "TWILIO_SMS_FROM": ""},
            {"sms": "TWILIO_ACCOUNT_SID, TWILIO_SMS_FROM", "whatsapp": "TWILIO_ACCOUNT_SID"},
        ),
        ({"letter": "campaigns.channels.letter.PostalApiChannel"}, {"letter": "POSTAL_API_URL"}),
        ({"sms": None}, {"sms": "CHANNELS"}),
    ],
)
def test_what_is_not_set_up_is_known_with_what_is_missing(
    settings: Any, changed: dict[str, Any], closed: dict[str, str]
) -> None:
    channels = {name: changed[name] for name in ("letter", "sms") if name in changed}
    settings.CHANNELS = {name: path for name, path in (settings.CHANNELS | channels).items() if path}
    for name, value in (ALL_SET | {name: value for name, value in changed.items() if name.isupper()}).items():
        setattr(settings, name, value)
    assert closed_channels() == closed


def test_a_provider_without_its_key_is_not_set_up(settings: Any) -> None:
    settings.EMAIL_BACKEND = "anymail.backends.postmark.EmailBackend"
    settings.ANYMAIL = {}
    assert "POSTMARK_SERVER_TOKEN" in closed_channels()["email"]
    settings.ANYMAIL = {"POSTMARK_SERVER_TOKEN": "token"}
    assert "email" not in closed_channels()
