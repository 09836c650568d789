"""The commands, one module for each group; `leadscore/command.py` assembles them."""
