"""The commands, one module for each group; `leadscore.py` assembles them."""
