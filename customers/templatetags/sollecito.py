"""Template tags every admin page uses; see customers.display."""

from django import template

from customers import display, tips

register = template.Library()
register.simple_tag(tips.next_tip)

register.simple_tag(display.badge)
register.filter(display.when)
register.filter(display.on_day)
register.filter(display.ago)
register.filter(display.percent)
register.filter(display.points)
