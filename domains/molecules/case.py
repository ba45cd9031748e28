"""One molecule's decision, at hand to be asked again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sciexplain.domains.molecules.indices import canonical_smiles
from sciexplain.domains.molecules.removal import AtomRemoval
from sciexplain.errors import SciExplainError
from sciexplain.records import Answer, Case
from sciexplain.records.composite_json import to_json

if TYPE_CHECKING:
    from sciexplain.domains.molecules.explanation import MoleculeExplanation


def molecule_case(a: MoleculeExplanation) -> Case:
    """The case of an explained molecule."""
    from sciexplain.domains.molecules.explain import explain

    question = a.question

    def ask() -> Answer:
        asked = explain(a.family, [question.graph], question.target, question.composite)[0]
        ledger, bonds = asked.ledger, asked.bonds
        return Answer(
            relevance={
                "atoms": asked.atoms.detach().cpu(),
                "bonds": torch.tensor([bonds[pair] for pair in sorted(bonds)], dtype=torch.float64),
            },
            logits=asked.output.reshape(-1),
            score=asked.score,
            target=asked.target,
            absorbed={name: float(value) for name, value in ledger.absorbed.items()},
            gap=float(ledger.gap),
            unknown=tuple((u.operation, u.module, u.count) for u in asked.unknown),
            unit=asked.unit,
            conserves=True,
        )

    return Case(
        kind="molecule",
        model=a.family.model,
        name=a.name,
        inputs=dict(a.family.collate([question.graph]).tensors),
        question={
            "method": "lrp",
            "target": _told(question.target),
            "composite": str(question.composite or "epsilon"),
            "rules": to_json(question.composite),
            "options": {},
            "options_in_words": {},
        },
        ask=ask,
        removal=lambda answer: (AtomRemoval([a]), answer.parts),
        removed="single atoms, with the bonds at them",
        picture=None if a.molecule is None else lambda answer: a.draw().png(3.0),
        described=_described(a),
    )


def _told(target: Any) -> Any:
    if target is None or isinstance(target, int):
        return target
    if isinstance(target, Tensor):
        return int(target) if target.numel() == 1 and not target.is_floating_point() else "a start relevance"
    return f"the function {getattr(target, '__qualname__', repr(target))}"


def _described(a: MoleculeExplanation) -> dict[str, str]:
    described = {"atoms": str(len(a))}
    if a.molecule is not None:
        try:
            described["SMILES"] = canonical_smiles(a.molecule)
        except SciExplainError:  # a geometry without bonds has none
            described["source"] = a.molecule.source
    if a.task:
        described["property"] = a.task
    return described
