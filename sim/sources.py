"""What measurements depend on."""

import hashlib
from importlib.util import find_spec
from pathlib import Path

__all__ = ["source_identity"]


def source_identity(*packages):
    """A digest of every Python and Verilog source in `packages` (dotted names)."""
    identity = hashlib.sha256()
    for package in packages:
        folder = Path(find_spec(package).submodule_search_locations[0])
        for path in sorted(p for pattern in ("*.py", "*.v") for p in folder.rglob(pattern)):
            identity.update(path.read_bytes())
    return identity.hexdigest()
