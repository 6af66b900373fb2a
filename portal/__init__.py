"""The customer's own pages behind one secure link."""
