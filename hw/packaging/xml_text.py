"""XML as text."""

from xml.etree import ElementTree

__all__ = ["to_text"]


def to_text(root, comment):
    """The document of an element tree, indented, with a comment before its root."""
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!-- {comment} -->\n{body}\n'
