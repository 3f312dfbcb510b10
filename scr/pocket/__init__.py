"""What does a machine that can download nothing run? A small model with its own facts, wordings and training.

Nothing here imports torch; ``scr.pocket.train`` and ``scr.pocket.evaluate`` do.
"""

from pathlib import Path

MODEL_DIR = Path(__file__).with_name("model")
"""A Hugging Face model folder: config, tokenizer with chat template, safetensors weights."""

__all__ = ["MODEL_DIR"]
