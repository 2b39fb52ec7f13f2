"""Which stages run, why, and running them."""
