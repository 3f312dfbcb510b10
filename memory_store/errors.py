"""The error tree. It stands in the lowest package so that every layer may raise from it.

Each message says what was got, what was wanted and, where it is short, what to type next.
"""


class ScrError(Exception):
    """Root of everything this project raises on purpose; a CLI shows it as one line."""

    exit_code = 1

    def __str__(self) -> str:
        # KeyError would show the repr of its argument, quotes included.
        return str(self.args[0]) if self.args else self.__class__.__name__


class EditNotFoundError(ScrError, KeyError):
    """No live edit has this edit_id (in this namespace)."""

    exit_code = 3


class BatchNotFoundError(ScrError, KeyError):
    """The log has no batch of this number (in this namespace)."""

    exit_code = 3


class ConflictError(ScrError):
    """A write needs a decision: a used edit_id with other content, or two targets for one identity."""

    exit_code = 4


class StoreError(ScrError):
    """The store cannot be opened, read or written."""

    exit_code = 6


class StoreFormatError(StoreError):
    """Not a store, damaged, or written by a newer version."""


class StoreLockedError(StoreError):
    """Another process holds the write lock for longer than we wait."""


class EncoderMismatchError(StoreError):
    """The store was filled by another encoder."""


class DimensionMismatchError(ScrError, ValueError):
    """A key's width differs from the index's."""


class ConfigError(ScrError, ValueError):
    """A value is out of range, or two settings contradict each other."""

    exit_code = 2


class InvalidEditError(ConfigError):
    """An edit's text is empty, too long, or holds characters that no answer should carry."""


class ModelUnavailableError(ScrError):
    """A language model or encoder cannot be loaded from where it was looked for."""

    exit_code = 7
