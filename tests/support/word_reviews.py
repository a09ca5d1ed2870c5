"""Reviews of random words."""

from acceltran.cli.train.reviews import Review

from .models import random_texts

__all__ = ["word_reviews"]


def word_reviews(count):
    """Texts that are positive when they hold more of w0 than of w1."""
    reviews = []
    for seed, text in enumerate(random_texts(count, 8, seed=1)):
        word, rating = [("w0", 2.0), ("w1", -2.0)][seed % 2]
        kept = [other for other in text.split() if other not in ("w0", "w1")]
        reviews.append(Review(" ".join([*kept[:4], word, *kept[4:]]), rating))
    return reviews
