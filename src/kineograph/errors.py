"""What can go wrong, as a tree. Every message is one sentence that says what is wrong and what to do.

KineographError
├── UserError          whoever asked can mend it (exit code 2)
│   ├── RequestError   a value out of range, or values that contradict one another
│   ├── AbilityError   the model can't fill this canvas; names those that can
│   ├── MediaError     a file that can't be read as video or image
│   ├── ModelError     no such model, or weights that don't fit
│   ├── DataError      a data folder, caption or shard that can't be used
│   └── OutputError    the result can't be written: no such folder, no permission, no space
└── TrainingError      training can't go on: not finite, checkpoint damaged (exit code 1)
"""


class KineographError(Exception):
    """Anything that this package raises on purpose."""

    exit_code = 1


class UserError(KineographError):
    """Bad input: the caller can mend it."""

    exit_code = 2


class RequestError(UserError):
    """A value is out of range, or two values contradict one another."""


class AbilityError(UserError):
    """The model can't fill the canvas that was asked for."""


class MediaError(UserError):
    """A file can't be read as video or image."""


class ModelError(UserError):
    """There is no such model, or its weights don't fit."""


class DataError(UserError):
    """A data folder, a caption or a shard can't be used."""


class OutputError(UserError):
    """The result can't be written where it was asked for."""


class TrainingError(KineographError):
    """Training can't go on."""
