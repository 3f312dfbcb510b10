"""How an edit changes an answer. This package must not know ``eval``; importing it loads nothing heavy."""
