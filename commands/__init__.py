"""The commands of the command line, one module a group; `leadscore.py` assembles them."""
