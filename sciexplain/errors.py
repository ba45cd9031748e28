"""The errors a user can meet. Each message says what was given, what was expected and what to do."""


class SciExplainError(ValueError):
    """Base of every error this package raises on purpose."""


class InputError(SciExplainError):
    """The inputs cannot be explained: not finite, integer without an embedding, wrong structure."""


class TargetError(SciExplainError):
    """The target does not fit the model's output."""


class ModelError(SciExplainError):
    """The model does not return what can be explained, or cannot be loaded."""


class NonFiniteOutputError(ModelError):
    """The explained output is NaN or infinite for some samples; others may be fine."""


class RuleError(SciExplainError):
    """A propagation rule or composite cannot be used as asked."""


class UnknownOperationError(SciExplainError):
    """An operation without a propagation rule was met and ``on_unknown="error"``."""


class DataError(SciExplainError):
    """A file or a row of data cannot be read."""


class MissingDependencyError(SciExplainError, ImportError):
    """An optional library is not installed; the message names the extra that brings it."""
