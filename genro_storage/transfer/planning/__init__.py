"""What is to be done: two sorted listings, what may take part, what is the same, as a value."""
