"""Italian moments: without the day of the week and with the month cut short, so that lists have room for them."""

DATETIME_FORMAT = "j M Y, H:i"
