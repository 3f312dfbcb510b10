"""What is remembered. This package knows no torch, no transformers and no model; it opens in milliseconds."""
