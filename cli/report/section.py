"""A section of a page."""

from dataclasses import dataclass

from .html import Html

__all__ = ["Section"]


@dataclass(frozen=True, kw_only=True)
class Section:
    """One part of a page, with what its scripts need.

    Parameters
    ----------
    name : unique in the page, a word: the anchor of the section, and the name by which scripts find its data
    title : plain text
    body : Html
    data : plain values for the scripts; None: there are none
    scripts : files of this folder
    """

    name: str
    title: str
    body: Html
    data: object = None
    scripts: tuple[str, ...] = ()
