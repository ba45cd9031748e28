"""MNIST, fetched from a public mirror, checked and cached; or its test set from a local folder."""

import numpy as np
from numpy.typing import NDArray

from sciexplain.datasets.fetch import Source, download, local_file
from sciexplain.datasets.idx import read_idx
from sciexplain.datasets.labelled import LabelledImages

_MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_SHA256 = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
_LOCAL_FILE = "images/mnist_test_10k.npz"
_LOCAL_SHA256 = "239ca8515e04a8c239c44abe7ab38b7c59ef0af12d9daf900a0aeb3807a34bf7"


def load_mnist() -> LabelledImages:
    """MNIST's 60 000 training and 10 000 test digits, 28 × 28.

    When the environment variable ``SCIEXPLAIN_DATA`` names a folder that holds ``images/mnist_test_10k.npz``,
    the test set is read from there without a network, and ``train`` is empty. ``images[test]`` is the same
    either way.

    Raises
    ------
    DataError
        The files are not cached and cannot be fetched, or differ from the published ones.

    Notes
    -----
    LeCun, Bottou, Bengio and Haffner, "Gradient-Based Learning Applied to Document Recognition",
    Proceedings of the IEEE 86 (1998).
    """
    local = local_file(_LOCAL_FILE, _LOCAL_SHA256)
    if local is not None:
        with np.load(local, allow_pickle=False) as arrays:
            return _labelled(arrays["images"], arrays["labels"], trained_on=0)
    files = [
        download(Source(_MIRROR + name, digest, _LOCAL_FILE), name="MNIST", extra="images")
        for name, digest in _SHA256.items()
    ]
    train_images, train_labels, test_images, test_labels = map(read_idx, files)
    return _labelled(
        np.concatenate([train_images, test_images]),
        np.concatenate([train_labels, test_labels]),
        trained_on=len(train_labels),
    )


def _labelled(images: NDArray[np.uint8], labels: NDArray[np.uint8], *, trained_on: int) -> LabelledImages:
    return LabelledImages(
        images=images.astype(np.float32) / np.float32(255),
        labels=labels.astype(np.int64),
        names=tuple("0123456789"),
        train=np.arange(trained_on),
        test=np.arange(trained_on, len(labels)),
    )
