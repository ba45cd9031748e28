"""Files that commands write: whole or not at all, and readable for all."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sciexplain._files import written

if TYPE_CHECKING:
    from torch import Tensor


def write_json(path: Path, content: Mapping[str, Any]) -> Path:
    """JSON of plain values; NaN and infinity, which it has not, are null."""
    text = json.dumps(_finite(content), indent=1, ensure_ascii=False, allow_nan=False)

    def write(file: Path) -> None:
        file.write_text(text + "\n", encoding="utf-8")

    return written(path, write)


def write_tensors(path: Path, tensors: "Mapping[str, Tensor]") -> Path:
    """Safetensors."""
    from safetensors.torch import save_file

    def write(file: Path) -> None:
        save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, file)
        file.chmod(0o644)  # safetensors leaves it readable for the owner only

    return written(path, write)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and value - value != 0 else value
