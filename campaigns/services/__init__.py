"""What staff, the portal and other apps ask of cases, messages, tasks and ladders."""
