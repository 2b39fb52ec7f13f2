"""What the user types and reads: the only package that prints and exits."""
