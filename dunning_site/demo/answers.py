"""What the demo's customers write back, by language."""

#: Understood in all countries the demo's texts go to.
STOP = "STOP"

QUESTIONS: dict[str, tuple[str, ...]] = {
    "en": (
        "Hi, I never got the invoice itself. Could you send me the PDF, please?",
        "We moved to a new bank last month. Which card do you have on file?",
        "Could you put our VAT number on this one? Accounts won't pay it otherwise.",
    ),
    "it": (
        "Buongiorno, la fattura non ci è mai arrivata. Potete mandarci il PDF?",
        "Abbiamo cambiato banca il mese scorso: quale carta risulta da voi?",
    ),
    "de": (
        "Guten Tag, die Rechnung selbst haben wir nie bekommen. Können Sie uns die PDF schicken?",
        "Wir haben letzten Monat die Bank gewechselt. Welche Karte liegt bei Ihnen?",
    ),
    "fr": (
        "Bonjour, nous n'avons jamais reçu la facture. Pouvez-vous nous envoyer le PDF ?",
        "Nous avons changé de banque le mois dernier. Quelle carte avez-vous ?",
    ),
    "es": ("Hola, no hemos recibido la factura. ¿Nos pueden enviar el PDF?",),
    "pl": ("Dzień dobry, nie dotarła do nas faktura. Czy mogą Państwo przesłać PDF?",),
}

PROMISES: dict[str, str] = {
    "en": "Sorry about that, my salary comes in on Friday. I'll pay it then.",
    "it": "Scusate il ritardo, lo stipendio arriva venerdì: pago allora.",
    "de": "Entschuldigung, am Freitag kommt mein Gehalt, dann bezahle ich.",
    "fr": "Désolé, mon salaire arrive vendredi, je paierai à ce moment-là.",
    "es": "Perdón, cobro el viernes y pago entonces.",
    "pl": "Przepraszam, w piątek dostanę wypłatę i wtedy zapłacę.",
}

AWAY: dict[str, str] = {
    "en": "I am out of the office until Monday and will answer then.",
    "it": "Sono fuori ufficio fino a lunedì e risponderò al mio rientro.",
    "de": "Ich bin bis Montag nicht im Büro und antworte danach.",
    "fr": "Je suis absent du bureau jusqu'à lundi et répondrai à mon retour.",
    "es": "Estoy fuera de la oficina hasta el lunes y responderé a mi vuelta.",
    "pl": "Jestem poza biurem do poniedziałku, odpowiem po powrocie.",
}
