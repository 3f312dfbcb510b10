"""The built-in offline language model: its facts, its training, its weights."""
