"""What a person should do next: ranks customers by the expected value of acting now, and keeps the list."""
