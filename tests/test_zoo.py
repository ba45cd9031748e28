"""A few small architectures of the zoo, of every family: conserved, and nothing without a rule."""

import pytest
import zoo

CHOSEN = [
    "torchvision squeezenet1_1",
    "torchvision shufflenet_v2_x0_5",
    "timm vit_tiny_patch16_224",
    "timm swinv2_cr_tiny_224",
    "timm lcnet_035",
    "transformers deberta-v2",
    "transformers gpt2",
    "transformers gpt_oss",
    "transformers mamba2",
    "transformers qwen3_next",
    "transformers t5",
    "transformers wav2vec2",
    "LSTM bidirectional",
    "packed LSTM on tokens",
    "Enformer block",
    "PyG GATv2Conv",
    "PyG PNAConv",
    "PyG AttentiveFP",
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CHOSEN)
def test_architecture(name):
    row = zoo.examine(name, zoo.COMPOSITES)
    assert row.passes, row


@pytest.mark.filterwarnings("ignore")
def test_command(capsys):
    assert zoo.main(["--only", "pyg gcnconv*", "--composite", "epsilon"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:4]] == ["| PyG GCNConv", "| PyG GCNConv weighted"]
    assert lines[-1].startswith("2 of 2 architectures conserve")
