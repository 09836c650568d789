"""A retraining that is killed at one of its steps."""

# Runs `leadscore retrain`, and kills the process before or after a step is recorded.
KILLED = """
import os, signal, sys
from models.registry.retraining import Retraining
import leadscore
step, when = sys.argv[1], sys.argv[2]
record = Retraining.done
def done(self, name, result):
    if (name, when) == (step, "before"):
        os.kill(os.getpid(), signal.SIGKILL)
    record(self, name, result)
    if (name, when) == (step, "after"):
        os.kill(os.getpid(), signal.SIGKILL)
Retraining.done = done
sys.argv = ["leadscore", "retrain", "-p", sys.argv[3], "--json"]
leadscore.main()
"""
