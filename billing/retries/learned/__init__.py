"""The learned strategy: beliefs about pay calendars, banks and cards, and the sequence of tries that follows."""
