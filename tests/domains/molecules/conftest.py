"""chemprop and SchNetPack import Lightning's metrics, and these torchvision, whose operators may be missing here."""

from importlib.util import find_spec

import _peers

if find_spec("torchvision") is not None:
    _peers.torchvision()
