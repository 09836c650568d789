"""Tells people and programs what happened: events, their messages, and the outbox."""
