"""Owns message text: Liquid in MJML, checked at save, compiled at publish, filled in per message.

No models here. Front doors: `lint.check_template` (at save), `render.compile_template` (at publish),
`render.render` (per message), `variables.MailContext` (what a template may use).
"""
