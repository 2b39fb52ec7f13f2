"""Category discovery experiments from the command line."""

import os

__version__ = "0.1.0"

# Threads that wait for each other should sleep, not spin: while another program keeps one core busy, a spinning thread
# takes the time that the thread it waits for needs, and a training step is 5 to 30 times slower. OpenMP reads this
# when torch or scikit-learn load it, so it has to be said before any of them is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
