"""Who owes: customers, contacts, suppression, the communication log."""
