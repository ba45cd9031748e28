"""What a record says, as short tables for a page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .record import Record


class Section(NamedTuple):
    """A heading and its lines, each a name and a value."""

    title: str
    lines: tuple[tuple[str, str], ...]


def title(record: Record) -> str:
    """What was decided, in one line."""
    decision, name = record.document["decision"], record.document["input"]["name"]
    said = decision["label"]
    what = f"{number(decision['score'])} {decision['unit']}".strip() if said is None else f"class {said}"
    return f"Why {what}" + (f" for {name}" if name else "")


def sections(record: Record) -> tuple[Section, ...]:
    """All there is to tell but the picture, the caveats and the signatures."""
    d = record.document
    found = (
        Section("Decision", tuple(_decision(d["decision"]))),
        Section("Where the score went", tuple(_conservation(d["conservation"], d["decision"]["unit"]))),
        Section("Is the explanation faithful?", tuple(_faithfulness(d["faithfulness"]))),
        Section("Nearest known examples", tuple(_prototypes(d["prototypes"]))),
        Section("Question", tuple(_question(d["question"]))),
        Section("Sample", tuple(_input(d["input"]))),
        Section("Model", tuple(_model(d["model"]))),
        Section("Made with", tuple(d["versions"].items())),
    )
    return tuple(section for section in found if section.lines)


def number(value: float) -> str:
    """Four digits, with a true minus."""
    return f"{value:.4g}".replace("-", "−")


def _decision(d: dict[str, Any]) -> Iterator[tuple[str, str]]:
    explained = "" if d["label"] is None else f" of {d['label']}"
    yield f"explained output{explained}", f"{number(d['score'])} {d['unit']}".strip()
    for i, entry in enumerate(d["alternatives"]):
        yield (
            "prediction" if i == 0 else f"{i + 1}.",
            f"{entry['label']}: logit {number(entry['logit'])}, probability {entry['probability']:.3f}",
        )
    if not d["alternatives"] and d["probability"] is not None:
        yield "probability", f"{d['probability']:.3f}"


def _conservation(d: dict[str, Any], unit: str) -> Iterator[tuple[str, str]]:
    yield "score", f"{number(d['score'])} {unit}".strip()
    yield "relevance of the sample, in sum", number(d["relevance"])
    for name, value in (d["absorbed"] or {}).items():
        yield _ACCOUNTS.get(name, name), number(value)
    if d["absorbed"] is None and d["promised"]:
        yield "the rest: references, biases, ε", number(d["score"] - d["relevance"])
    if d["gap"] is not None:
        yield "not accounted for", number(d["gap"])


_ACCOUNTS = {
    "bias": "absorbed by biases",
    "stabilizer": "absorbed by ε",
    "unruled": "absorbed by operations without a rule",
}


def _faithfulness(d: dict[str, Any] | None) -> Iterator[tuple[str, str]]:
    if d is None:
        yield "not measured", "—"
        return
    yield "taken away", d["removed"]
    mean = sum(d["random_areas"]) / len(d["random_areas"])
    yield "mean fall, most relevant parts taken away first", number(d["area"])
    yield "mean fall, random orders", number(mean)
    yield "random orders that fall less", f"{d['beaten']} of {d['random_orders']}"


def _prototypes(d: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for entry in d:
        yield str(entry["name"]), f"{entry['label']}, distance {number(entry['distance'])}"


def _question(d: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "method", d["method"]
    if d.get("composite"):
        yield "rules", d["composite"]
    yield "target", "the prediction" if d["target"] is None else str(d["target"])
    for name, value in {**d.get("options", {}), **d.get("options_in_words", {})}.items():
        yield name.replace("_", " "), str(value)


def _input(d: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if d["name"]:
        yield "name", d["name"]
    yield from d["described"].items()
    yield "sha256", d["sha256"]


def _model(d: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "class", d["class"]
    yield "parameters", f"{d['parameters']:,}".replace(",", " ")
    if d["dtype"]:
        yield "type, device", f"{d['dtype']}, {d['device']}"
    yield "sha256 of weights", d["state_sha256"] or "no weights: a function"
