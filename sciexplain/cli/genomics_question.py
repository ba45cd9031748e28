"""What is asked of every sequence of a file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from sciexplain.domains import genomics
from sciexplain.domains.genomics import Record, SequenceExplanation, Sequences
from sciexplain.domains.genomics import reference as references
from sciexplain.errors import ModelError
from sciexplain.runs import load_model
from sciexplain.runs.models import load_function


@dataclass(frozen=True)
class Question:
    """What to explain of each sequence, and how; as :func:`sciexplain.domains.genomics.explain` takes it."""

    model: Any
    target: Any
    method: str
    strand: Any
    composite: str | None
    reference: Any
    layout: Any
    alphabet: str
    ambiguous: Any
    seed: int
    tokenizer: Any = None

    @classmethod
    def asked(cls, model: nn.Module, options: Mapping[str, Any]) -> "Question":
        """The question that the options of ``explain genomics`` ask, as the command or ``run.json`` has them."""
        method, composite, target = options["method"], options["composite"], options["target"]
        if composite is None and method == "lrp":
            # on one-hot letters ε alone is the noisy gradient; see benchmarks/site_truth.py
            composite = "epsilon_alpha2_beta1"
        heads = {None: target, "profile": genomics.profile(task=target), "counts": genomics.counts(task=target or 0)}
        reference, tokenizer = options["reference"], options["tokenizer"]
        return cls(
            model,
            target=heads[options["head"]],
            method=method,
            strand=options["strand"],
            composite=composite,
            reference=int(reference) if reference is not None and reference.isdecimal() else reference,
            layout=options["layout"],
            alphabet=agreed("alphabet", options["alphabet"], getattr(model, "alphabet", None)) or "DNA",
            ambiguous=options["ambiguous"],
            seed=options["seed"],
            tokenizer=None if tokenizer is None else load_function(tokenizer)(),
        )

    def encoded(self, records: Sequence[Record]) -> Sequences:
        """The records as one batch."""
        return Sequences.of(records, self.alphabet, ambiguous=self.ambiguous)

    def with_layout(self, sequences: Sequences) -> "Question":
        """With the model's layout found once, so that every batch has the same."""
        if self.tokenizer is not None:
            return self
        return replace(self, layout=genomics.layout_of(self.model, sequences, self.layout))

    def about(self, target: Any) -> Callable[[Sequences], SequenceExplanation]:
        """The same question about the outputs that ``target`` says."""
        return genomics.ask(
            self.model,
            target,
            self.method,
            self.strand,
            self.reference,
            composite=self.composite,
            layout=self.layout,
            tokenizer=self.tokenizer,
            seed=self.seed,
        )

    def answer(self, sequences: Sequences) -> SequenceExplanation:
        """The explanation of a batch."""
        return self.about(self.target)(sequences)


def load_network(model: str, weights: Path | None, *, unsafe_pickle: bool = False) -> nn.Module:
    """The model of a folder that ``train genomics`` made, or of ``MODULE:FUNCTION``.

    Raises
    ------
    ModelError
        It cannot be found or read.
    """
    folder = Path(model)
    return references.load(folder) if folder.is_dir() else load_model(model, weights, unsafe_pickle=unsafe_pickle)


def agreed(what: str, asked: Any, own: Any) -> Any:
    """What the user or the model says.

    Raises
    ------
    ModelError
        Both do, and differ.
    """
    if own is None or callable(own):
        return asked
    own = getattr(own, "name", own)
    if asked is not None and asked != own:
        raise ModelError(f"--{what} {asked}: the model was made for {own}; leave the option out, or give another model")
    return own
