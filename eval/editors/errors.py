"""What can go wrong while editing that is not a plain setting out of range."""

from memory_store.errors import ConfigError


class NumericalError(ConfigError):
    """A loss is not finite, or a system has no unique solution; the model is left as it was."""


__all__ = ["ConfigError", "NumericalError"]
