"""Editors that write into a model's weights: the baselines beside the retrieval editor, on one torch stack.

Shared machinery first, each file one question; then one short file per method. Nothing here knows about edit stores,
scope decisions or data sets: an editor gets a causal LM, its tokenizer and ``memory_store.edit.Edit`` records. All
state lives in the editor object, and every editor gives the model back bit for bit.

Conventions: a *key* k is the input of an MLP's output projection at the subject's last token; ``W`` has the shape
(d_model, d_key), whatever the module stores; deltas are float32 in the module's own layout.
"""
