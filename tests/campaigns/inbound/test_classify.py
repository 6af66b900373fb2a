import pytest

from campaigns.inbound.classify import classify

HUMAN, AUTO, AWAY, BOUNCE = "human", "auto_reply", "out_of_office", "bounce"


@pytest.mark.parametrize(
    ("subject", "headers", "kind"),
    [
        ("Re: Your payment", {}, HUMAN),
        ("Re: Out of office supplies invoice", {}, HUMAN),
        ("AW: Abwesenheit Ihrer Rechnung?", {}, HUMAN),
        ("Rechnung 4711", {"auto-submitted": "no"}, HUMAN),
        ("Question", {"precedence": "first-class"}, HUMAN),
        ("Re: Your payment", {"auto-submitted": "auto-replied"}, AUTO),
        ("Re: Your payment", {"auto-submitted": "auto-generated"}, AUTO),
        ("Re: Your payment", {"precedence": "bulk"}, AUTO),
        ("Re: Your payment", {"precedence": "auto_reply"}, AUTO),
        ("Re: Your payment", {"x-auto-response-suppress": "All"}, AUTO),
        ("Re: Your payment", {"x-autoreply": "yes"}, AUTO),
        ("Re: Your payment", {"x-autorespond": ""}, AUTO),
        ("Re: Your payment", {"x-sollecito-message": "step:1:0:email"}, AUTO),
        ("Out of office: Re: Your payment", {"auto-submitted": "auto-replied"}, AWAY),
        ("Out of Office", {}, AWAY),
        ("Automatic reply: Your payment", {}, AUTO),
        ("Automatic reply: I am on leave", {}, AWAY),
        ("Auto: Out of the office until Monday", {"precedence": "junk"}, AWAY),
        ("Automatische Antwort: Ihre Zahlung", {}, AUTO),
        ("Abwesenheitsnotiz: Ihre Zahlung", {}, AWAY),
        ("Ich bin im Urlaub", {"auto-submitted": "auto-replied (vacation)"}, AWAY),
        ("Réponse automatique : votre paiement", {}, AUTO),
        ("Absence du bureau", {}, AWAY),
        ("Risposta automatica: il tuo pagamento", {}, AUTO),
        ("Fuori sede: il tuo pagamento", {}, AWAY),
        ("Assenza per ferie", {}, AWAY),
        ("Odpowiedź automatyczna: płatność", {}, AUTO),
        ("Autoodpowiedź: płatność", {}, AUTO),
        ("Nieobecność w biurze", {}, AWAY),
        ("Respuesta automática: su pago", {}, AUTO),
        ("Fuera de la oficina: su pago", {}, AWAY),
        ("Undeliverable: Your payment", {"content-type": "multipart/report; report-type=delivery-status"}, BOUNCE),
    ],
)
def test_machines_are_told_from_people(subject: str, headers: dict[str, str], kind: str) -> None:
    assert classify(headers=headers, subject=subject, sender="anna@example.com") == kind


@pytest.mark.parametrize(
    ("sender", "null_sender", "subject", "kind"),
    [
        ("MAILER-DAEMON@mx.example.com", True, "Returned mail: see transcript", BOUNCE),
        ("postmaster@example.com", False, "Undelivered Mail Returned to Sender", BOUNCE),
        ("postmaster@example.com", False, "We moved offices", HUMAN),
        ("anna@example.com", True, "Re: Your payment", AUTO),
    ],
)
def test_the_envelope_speaks_too(sender: str, null_sender: bool, subject: str, kind: str) -> None:
    assert classify(headers={}, subject=subject, sender=sender, null_sender=null_sender) == kind
