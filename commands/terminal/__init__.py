"""Formats what the commands print.

Every text that comes from data or from people is escaped, so that it cannot act as markup.
"""
