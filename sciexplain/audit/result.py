"""What an audit gives: clusters, the most suspicious first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .suspicion import Part


@dataclass(frozen=True, eq=False)
class Cluster:
    """Samples of one class that the model decides on alike.

    Attributes
    ----------
    target
        The explained class.
    members
        (M,) rows of the samples, those nearest the cluster's mean first.
    average
        Mean relevance of the members, on the map's own pixels.
    region
        Bool, of the same shape: where the members have relevance that others have not; for an alarm, where it is out of
        place.
    where
        The region in words.
    label, purity
        The commonest label of the members, and its share; None without labels.
    parts
        What speaks against it, by name.
    suspicion
        The mean of the parts' values, 0 to 1.
    p
        Probability of as much relevance out of place by chance, corrected for all clusters; 1 where there is none that
        matters.
    place
        What the place out of place is called, where the cluster raises an alarm; None where it raises none.
    """

    target: int
    members: NDArray[np.int64]
    average: NDArray[np.float32]
    region: NDArray[np.bool_]
    where: str
    label: int | None
    purity: float | None
    parts: Mapping[str, Part]
    suspicion: float
    p: float
    place: str | None

    def __len__(self) -> int:
        return len(self.members)

    def __repr__(self) -> str:
        alarm = ", alarm" if self.alarm else ""
        return f"Cluster({len(self)} of class {self.target}, suspicion {self.suspicion:.2f}{alarm})"

    @property
    def alarm(self) -> bool:
        """Whether the cluster raises one."""
        return self.place is not None

    @property
    def reasons(self) -> list[str]:
        """The parts that say something, in words: out of place first, then what an edit costs, then the rest."""
        first = ("edit", "one label", "small", "apart", "alike")
        order = {name: first.index(name) if name in first else -1 for name in self.parts}
        told = sorted(self.parts.values(), key=lambda part: order[part.name])
        return [part.words for part in told if part.value >= 0.05]


@dataclass(frozen=True, eq=False)
class Spray(Sequence[Cluster]):
    """A data set's explanations, clustered; a sequence of clusters, the most suspicious first.

    Attributes
    ----------
    clusters
        Alarms first, then by suspicion.
    cluster
        (N,): the place of each sample's cluster among these; −1 for samples of classes that were not asked for.
    target
        (N,): the explained class.
    eigenvalues
        For each class that was clustered, the smallest ones of its graph's normalised Laplacian.
    eigengap
        For each of these classes, the gap behind as many eigenvalues as it has clusters.
    embedding
        (N, 2); None where it was not asked for.
    alpha, material
        Level of the alarm, and the share of relevance that is enough to matter.
    """

    clusters: tuple[Cluster, ...]
    cluster: NDArray[np.int64]
    target: NDArray[np.int64]
    eigenvalues: Mapping[int, NDArray[np.float64]]
    eigengap: Mapping[int, float]
    embedding: NDArray[np.float32] | None
    alpha: float
    material: float

    def __len__(self) -> int:
        return len(self.clusters)

    def __getitem__(self, i: Any) -> Any:
        return self.clusters[i]

    def __iter__(self) -> Iterator[Cluster]:
        return iter(self.clusters)

    def __repr__(self) -> str:
        count = len(self.alarms)
        return f"Spray({len(self.target)} samples, {len(self)} clusters, {count} alarm{'s' * (count != 1)})"

    @property
    def alarm(self) -> bool:
        """Whether any cluster raises one."""
        return bool(self.alarms)

    @property
    def alarms(self) -> tuple[Cluster, ...]:
        """The clusters that do."""
        return tuple(cluster for cluster in self.clusters if cluster.alarm)
