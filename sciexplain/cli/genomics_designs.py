"""What designed sequences show: relevance, the site that they share, known sites; as lines, as JSON, as a picture."""

import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from sciexplain.domains import genomics
from sciexplain.domains.genomics import Motif
from sciexplain.domains.genomics.design import Designs, draw_designs, known_sites, shared_site
from sciexplain.errors import InputError

_WIDTH, _DRAWN = 20, 250
"""Letters of a shared site, and letters drawn, at most."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What a group of designs shows: relevance, the site that they share, and known sites.

    Attributes
    ----------
    names
        Of the designs.
    explanation, shared, sites
        None where the letters have no strands, where there is one design, and where no motifs are known.
    match
        The known motif that the shared site is most like.
    """

    names: tuple[str, ...]
    explanation: Any
    shared: Any = None
    match: Any = None
    sites: Any = None

    @classmethod
    def of(cls, network: Any, target: Any, group: Designs, known: Sequence[Motif] | None, layout: Any) -> "Seen":
        explanation = genomics.explain(
            network, group.sequences, target, composite="epsilon_alpha2_beta1", layout=layout
        )
        names = tuple(design.name for design in group)
        if not group.sequences.alphabet.complement:
            return cls(names, explanation)
        shared = match = None
        if len(group) > 1:
            with suppress(InputError):  # the model finds nothing in them that speaks for the target
                shared = shared_site(explanation, min(_WIDTH, group.sequences.length))
        if shared is not None and known is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of a small data base
                match = genomics.match_motifs([shared.trimmed(0.2)], known, top=1)[0]
            shared = replace(shared, name=f"shared site, most like {match.target} (q = {match.q:.1g})")
        return cls(names, explanation, shared, match, None if known is None else known_sites(explanation, known))

    def lines(self) -> list[str]:
        """For the user."""
        lines = [] if self.shared is None else [f"{self.shared.name}: {self.shared.consensus}"]
        for name, hits in zip(self.names, self.sites or (), strict=False):
            found = ", ".join(f"{h.motif} at {h.start}-{h.end}({h.strand}), p = {h.p:.1g}" for h in hits[:3])
            lines.append(f"{name}: {found or 'no known site'}")
        return lines

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        columns = ("motif", "start", "end", "strand", "score", "p", "contribution")
        shared = None
        if self.shared is not None:
            shared = {"consensus": self.shared.consensus, "probabilities": self.shared.ppm.tolist()}
            shared["match"] = None if self.match is None else {"motif": self.match.target, "q": self.match.q}
        sites = None
        if self.sites is not None:
            listed = zip(self.names, self.sites, strict=True)
            sites = {name: [{c: getattr(hit, c) for c in columns} for hit in hits] for name, hits in listed}
        return {"shared_site": shared, "known_sites": sites}


def picture(groups: dict[str, Designs], seen: dict[str, Seen], rows: int) -> Any:
    def given(what: str) -> dict[str, Any]:
        return {name: getattr(one, what) for name, one in seen.items() if getattr(one, what) is not None}

    span = min(_DRAWN, next(iter(groups.values())).sequences.length)
    return draw_designs(groups, given("explanation"), sites=given("sites"), shared=given("shared"), rows=rows, end=span)


def with_density(group: Designs, prior: Any) -> Designs:
    """The same designs, with what a prior says of them."""
    densities = prior.log_likelihood(group.sequences.one_hot).tolist()
    designs = tuple(replace(d, log_density=value) for d, value in zip(group.designs, densities, strict=True))
    return replace(group, designs=designs, typical=float(prior.typical))


def side_by_side(groups: dict[str, Designs], prior: Any) -> list[str]:
    """Predictions and densities with and without the prior."""
    lines = []
    for name, group in groups.items():
        per_letter = float(prior.log_likelihood(group.sequences.one_hot).mean()) / group.sequences.length
        mean = sum(design.prediction for design in group) / len(group)
        lines.append(f"{name}: mean prediction {mean:.4g}, log-density {per_letter:.3f} nats per letter")
    return [*lines, f"real sequences: log-density {float(prior.typical) / prior.length:.3f} nats per letter"]
