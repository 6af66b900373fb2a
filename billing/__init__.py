"""What is owed: invoices, payments, attempts, and the doors to the payment processor."""
