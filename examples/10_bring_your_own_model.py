# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: -all
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# # Will it explain *my* model?
#
# Explanation methods are often tied to the layers that their authors thought of, and one residual sum written as
# `x + y` is enough to make the result wrong without a word. Here are six networks of five libraries, exactly as these
# build them: a graph network of PyTorch Geometric, a directed message passing network of chemprop, SchNet of
# SchNetPack, BERT of Hugging Face's transformers, and a vision transformer and a ResNet of timm. Each takes about five
# lines, and each must account for its whole output.
#
# The inputs are real: drugs, geometries, sentences, a handwritten digit. **The weights are random**, as nothing is
# fetched here. So this notebook shows that relevance is computed as it should be, and nothing about chemistry or
# language: that needs your trained weights in the same five lines.

# %%
import warnings

import torch

import sciexplain as sx
from sciexplain import datasets
from sciexplain.domains import images, molecules, texts
from sciexplain.domains.molecules.families.schnetpack import library

torch.manual_seed(0)


def account(score, ledger):
    """Print where the score of the first sample went: relevance, what was absorbed, and what is missing."""
    absorbed = {name: float(amount[0]) for name, amount in ledger.absorbed.items()}
    gap = float(ledger.gap[0])
    relevance = float(score) - gap - sum(absorbed.values())
    parts = "".join(f", {name} {amount:+.4f}" for name, amount in absorbed.items() if abs(amount) > 5e-5)
    print(f"score {float(score):+.4f} = relevance {relevance:+.4f}{parts}; missing {abs(gap):.0e}")


# %% [markdown]
# The five libraries. chemprop, transformers and timm import torchvision. Where that was built for another version of
# torch, its operators are missing and the import fails; none of them is needed here, so declaring one is enough.

# %%
try:
    import torchvision  # noqa: F401
except RuntimeError:
    declared = torch.library.Library("torchvision", "FRAGMENT")
    declared.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

with warnings.catch_warnings():
    # Libraries look for the progress bars of widgets; there are none here, and nothing depends on them.
    warnings.filterwarnings("ignore", message="IProgress not found")
    import chemprop
    import timm
    from tokenizers import Tokenizer, models, pre_tokenizers
    from torch_geometric.nn import GIN, global_add_pool
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    schnetpack = library()  # `import schnetpack`, which needs a helping hand under new versions of torch

# %% [markdown]
# All models get `.double()`, so that what is missing can be told from rounding. Yours need not.
#
# ## PyTorch Geometric
#
# Any module with a `forward(x, edge_index, …, batch)`. `featurizer="pyg"` is the library's own way from a molecule to a
# graph; give your function instead if you have one.


# %%
class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gin, self.head = GIN(9, 32, num_layers=3), torch.nn.Linear(32, 1)

    def forward(self, x, edge_index, batch):
        return self.head(global_add_pool(self.gin(x, edge_index), batch))


m = molecules.explain(Network().double().eval(), ["CC(=O)Oc1ccccc1C(=O)O", "CCO"], featurizer="pyg")
account(m[0].score, m[0].ledger)
m[0].draw(bonds=True, walks=2, title="aspirin, random weights", size=(440, 400))

# %% [markdown]
# ## chemprop
#
# A `MPNN` as it is; its featurizer is found by the widths of its layers. A checkpoint would be
# `molecules.load_model("best.pt")`.

# %%
parts = chemprop.nn.BondMessagePassing(d_h=64), chemprop.nn.MeanAggregation(), chemprop.nn.RegressionFFN(input_dim=64)
mpnn = chemprop.models.MPNN(*parts)
m = molecules.explain(mpnn.double().eval(), ["CC(=O)Nc1ccc(O)cc1", "Cn1cnc2c1c(=O)n(C)c(=O)n2C"])
account(m[0].score, m[0].ledger)
bonds = sorted(m[0].bond_features.items(), key=lambda item: -abs(item[1]))[:2]
print("of it read off the bonds:", ", ".join(f"{bond} {relevance:+.4f}" for bond, relevance in bonds), "…")

# %% [markdown]
# ## SchNetPack
#
# A `NeuralNetworkPotential`, on geometries of QM7. The folder that a training run wrote would be
# `molecules.load_model("run/")`.

# %%
basis, cutoff = schnetpack.nn.GaussianRBF(20, 5.0), schnetpack.nn.CosineCutoff(5.0)
schnet = schnetpack.model.NeuralNetworkPotential(
    schnetpack.representation.SchNet(n_atom_basis=32, n_interactions=3, radial_basis=basis, cutoff_fn=cutoff),
    input_modules=[schnetpack.atomistic.PairwiseDistances()],
    output_modules=[schnetpack.atomistic.Atomwise(n_in=32, output_key="energy")],
)
m = molecules.explain(schnet.double().eval(), datasets.load("qm7").molecules[30:32], unit="eV")
account(m[0].score, m[0].ledger)
terms = m[0].bodies(3)
for order in (1, 2, 3):
    print(f"{order}-body terms {sum(r for atoms, r in terms.items() if len(atoms) == order):+.4f} eV")
print(f"more bodies {terms.remainder:+.4f} eV")

# %% [markdown]
# ## Hugging Face transformers
#
# With a network this would be `AutoModelForSequenceClassification.from_pretrained(…)` and `AutoTokenizer`. Here BERT is
# built from a config, and its tokenizer cuts at words.

# %%
sentences = ["The binding site was not conserved .", "The binding site was conserved ."]
words = ["[PAD]", "[UNK]", *sorted({word for text in sentences for word in text.split()})]
cut = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
cut.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=cut, pad_token="[PAD]", unk_token="[UNK]")
config = BertConfig(vocab_size=len(words), hidden_size=64, num_hidden_layers=4, num_attention_heads=4)
bert = BertForSequenceClassification(config).double().eval()

e = texts.explain(bert, tokenizer, sentences, composite="attention", ledger=True)
account(e.score[0], e.explanation.ledger)
e

# %% [markdown]
# `composite="attention"` is AttnLRP (Achtibat et al. 2024): relevance also passes through the attention weights.
#
# ## timm
#
# A vision transformer and a ResNet, for grey pictures of 28 × 28 pixels; with a network, `pretrained=True`. The picture
# is a digit of the MNIST test set.

# %%
digit = torch.tensor(datasets.load("mnist").images[:1], dtype=torch.float64)[:, None]
vit = timm.create_model("vit_tiny_patch16_224", img_size=28, patch_size=4, in_chans=1, num_classes=10)
# timm starts residual blocks at zero, so that untrained ones would pass nothing on
resnet = timm.create_model("resnet18", in_chans=1, num_classes=10, zero_init_last=False)
preprocess = images.Preprocess(mean=(0.5,), std=(0.5,))  # of the model's pretrained_cfg
for network, composite in ((vit, "attention"), (resnet, "epsilon_gamma_box")):
    e = images.explain(network.double().eval(), digit, preprocess=preprocess, composite=composite, ledger=True)
    print(type(network).__name__, end=": ")
    account(e.score[0], e.explanation.ledger)

# %% [markdown]
# ## And anything else
#
# A module of your own, with any control flow: `sx.explain(model, x)`. Which rule each operation gets is printed by
# `describe`; an operation without one is named, with a warning, and what it absorbs is in the ledger as `unruled`.


# %%
class Gated(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.out = (torch.nn.Linear(6, n) for n in (6, 6, 2))

    def forward(self, x):
        h = torch.nn.functional.silu(self.a(x)) * self.b(x) + x
        return self.out(h / (h.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt())


own, x = Gated().double().eval(), torch.randn(1, 6, dtype=torch.float64)
e = sx.explain(own, x, ledger=True)
account(e.score[0], e.ledger)
print(sx.composites.get("epsilon").describe(own, x))

# %% [markdown]
# ## What was learnt
#
# Seven networks, six of them of other people's making, went in as they were: no wrapper, no change to a layer, no list
# of supported layers. For each the score equals relevance plus what biases and stabilizers absorbed, up to rounding of
# float64: this is certain, since it is counted and not estimated.
#
# What you must not conclude: that a closed ledger makes an explanation *good*. It says that nothing was lost or counted
# twice, not that the rule suits your question, nor that the model is right. With random weights all six explanations
# mean nothing at all. Whether an explanation is faithful to *your* model is measured with `sciexplain.evaluate`.
