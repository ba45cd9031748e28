"""Letters for pages: on dark ground as well told apart as on light, and logos that stand alone."""

import base64
import re
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from sciexplain.domains.genomics.alphabet import DNA, PROTEIN, RNA
from sciexplain.domains.genomics.drawing.letter_view import letter_view
from sciexplain.domains.genomics.drawing.logo_url import logo_url

# sRGB (IEC 61966-2-1) to CIE XYZ, D65; Machado, Oliveira and Fernandes (2009), severity 1.0, on linear RGB.
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
CONES = {
    "all": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(colours):
    rgb = np.array([to_rgb(c) for c in colours])
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def closest(colours) -> float:
    """The smallest ΔE*ab between two of them, for people with and without each kind of cone."""

    def lab(cones):
        t = np.clip(linear(colours) @ np.transpose(cones), 0, 1) @ XYZ.T / XYZ.sum(1)
        f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
        return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], -1)

    return min(np.linalg.norm(a - b) for cones in CONES.values() for a, b in combinations(lab(cones), 2))


def contrast(colours, ground) -> np.ndarray:
    (own, page) = (linear(c) @ XYZ[1] + 0.05 for c in (colours, [ground]))
    return np.maximum(own / page, page / own)


def test_everyone_can_tell_letters_apart_in_the_dark():
    dark = letter_view(DNA)["dark"]
    assert closest(list(dark.values())) >= 46
    assert contrast(list(dark.values()), "#14171a").min() >= 3
    groups = sorted(set(letter_view(PROTEIN)["dark"].values()))
    assert closest(groups) >= 24 and contrast(groups, "#14171a").min() >= 3 and len(groups) == 5


@pytest.mark.parametrize("alphabet", [DNA, RNA, PROTEIN])
def test_every_letter_has_an_outline_in_the_unit_square(alphabet):
    shapes = letter_view(alphabet)["shapes"]
    assert list(shapes) == list(alphabet.letters)
    for path, share in shapes.values():
        numbers = np.array(re.findall(r"-?[\d.]+(?:e-?\d+)?", path), float)
        assert numbers.min() == 0 and numbers.max() == 1 and 0 < share <= 1
        assert set(re.sub(r"[-\d.e\s]", "", path)) <= set("MLQCZ")


def test_a_logo_stands_alone():
    url = logo_url([[1, 0, 0, 0], [0, 0, 1, 0], [0.25] * 4], kind="information", description='<A> & "G"')
    kind, held = url.split(",", 1)
    assert kind == "data:image/svg+xml;base64"
    root = ElementTree.fromstring(base64.b64decode(held))
    svg = "{http://www.w3.org/2000/svg}"
    assert root.tag == f"{svg}svg" and root.get("aria-label") == '<A> & "G"'
    there = {path.get("id") for path in root.iter(f"{svg}path") if path.get("id")}
    used = [use.get("href") for use in root.iter(f"{svg}use")]
    assert used == ["#letter-A", "#letter-G"] and {name[1:] for name in used} <= there
