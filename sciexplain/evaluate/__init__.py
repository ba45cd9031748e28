"""Is an explanation faithful, does it depend on what was learned, and does it lie where it should?

>>> import torch, sciexplain as sx
>>> from sciexplain import evaluate
>>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(9, 2)).eval()
>>> x = torch.rand(4, 1, 3, 3)
>>> curves = evaluate.pixel_flipping(model, x, sx.explain(model, x), filler="zero")
>>> curves.areas.shape, curves.interval().samples
(torch.Size([4]), 4)
"""

from .agreement import Agreement, agreement, agreement_matrix
from .conservation import Conservation, conservation
from .curves import Comparison, Flipping
from .figure import draw_curves
from .fillers import Blur, Constant, Filler, Inpaint, Mean, Resample, Uniform
from .flipping import compare, flipping
from .infidelity import infidelity
from .localization import Localization, localization
from .pixels import compare_pixels, deletion, insertion, pixel_flipping, region_perturbation, road
from .randomization import randomized
from .removal import Removal
from .sanity import Sanity, sanity
from .scores import Row, Scores, table
from .similarity import cosine, pearson, spearman, ssim
from .stability import avg_sensitivity, max_sensitivity
from .statistics import Interval, bootstrap, interval
from .subsets import SensitivityN, faithfulness_correlation, sensitivity_n, subset_correlation
from .tensor_removal import TensorRemoval

__all__ = [
    "Agreement",
    "Blur",
    "Comparison",
    "Conservation",
    "Constant",
    "Filler",
    "Flipping",
    "Inpaint",
    "Interval",
    "Localization",
    "Mean",
    "Removal",
    "Resample",
    "Row",
    "Sanity",
    "Scores",
    "SensitivityN",
    "TensorRemoval",
    "Uniform",
    "agreement",
    "agreement_matrix",
    "avg_sensitivity",
    "bootstrap",
    "compare",
    "compare_pixels",
    "conservation",
    "cosine",
    "deletion",
    "draw_curves",
    "faithfulness_correlation",
    "flipping",
    "infidelity",
    "insertion",
    "interval",
    "localization",
    "max_sensitivity",
    "pearson",
    "pixel_flipping",
    "randomized",
    "region_perturbation",
    "road",
    "sanity",
    "sensitivity_n",
    "spearman",
    "ssim",
    "subset_correlation",
    "table",
]
