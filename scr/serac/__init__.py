"""How are SERAC's two parts trained? A classifier that scopes an edit, a small model that answers from it.

Both learn from one JSONL of edits with queries in and out of their scope, and neither sees the model that is edited:
one trained pair serves every base model. Nothing here imports torch before training begins.

Source: SERAC, arXiv:2206.06520.
"""
