"""The parts of activation maximisation: objectives, penalties, transforms, parameterizations and priors.

>>> import torch, sciexplain as sx
>>> from sciexplain.maximization import Channel, Jitter, TotalVariation
>>> model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.LazyLinear(2))
>>> _ = model(torch.zeros(1, 1, 8, 8))
>>> found = sx.maximize(
...     model, Channel("0", 2), (1, 8, 8), low=0, high=1, penalties=[TotalVariation(0.01)], transforms=[Jitter(1)]
... )
>>> found.inputs.shape
torch.Size([4, 1, 8, 8])
"""

from .objectives import Channel, Direction, Diverse, Logit, LogProbability, Neuron, Objective, Score
from .parameterizations import Frequencies, Parameterization, Pixels, colour_root
from .penalties import L2, AlphaNorm, TotalVariation
from .priors import Decoder, Density, standard_normal
from .result import Maximization, Step
from .transforms import Affine, Blur, Jitter

__all__ = [
    "L2",
    "Affine",
    "AlphaNorm",
    "Blur",
    "Channel",
    "Decoder",
    "Density",
    "Direction",
    "Diverse",
    "Frequencies",
    "Jitter",
    "LogProbability",
    "Logit",
    "Maximization",
    "Neuron",
    "Objective",
    "Parameterization",
    "Pixels",
    "Score",
    "Step",
    "TotalVariation",
    "colour_root",
    "standard_normal",
]
