"""Does a model cheat? Clusters of explanations, ranked by how suspicious they are.

>>> import sciexplain as sx
>>> e = sx.explain(model, images, labels)  # doctest: +SKIP
>>> found = sx.audit.spray(e, labels=labels)  # doctest: +SKIP
>>> found.alarm, found[0].members, found[0].reasons  # doctest: +SKIP
"""

from .result import Cluster, Spray
from .spray import spray
from .suspicion import Part

__all__ = ["Cluster", "Part", "Spray", "spray"]
