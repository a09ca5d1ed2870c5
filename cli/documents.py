"""Parts of documents that commands write, between markers."""

import re

from ..hw.spec.errors import ConfigError
from ..hw.spec.files import write_text

__all__ = ["update_part"]


def update_part(path, marker, part):
    """Write Markdown between a marker and the next end in a document, all or nothing.

    Raises
    ------
    ConfigError : the document has no such marker
    """
    between = re.compile(rf"(?<=<!-- {marker} -->\n).*?(?=<!-- end -->)", re.DOTALL)
    text, found = between.subn(lambda _: part, path.read_text(), count=1)
    if not found:
        raise ConfigError(f"output = {str(path)!r}: has no marker <!-- {marker} --> with <!-- end --> after it; start from "
                          "docs/dynatran.md")
    write_text(path, text)
