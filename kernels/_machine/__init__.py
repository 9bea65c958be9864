"""What the machine offers: processors for threads, and caches."""
