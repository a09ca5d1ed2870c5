"""The version, of which everything else that names it is made: the package, the command line, manifest and registers."""

__all__ = ["VERSION", "version_text"]

VERSION = (0, 1, 0)
"""Major, minor, patch; pyproject.toml reads this line."""


def version_text():
    """As it is written: 0.1.0."""
    return ".".join(map(str, VERSION))
