"""What was discovered, shown: the page of a run, the page that compares runs, and the facts that both print."""
