"""From outside events and files to facts."""
