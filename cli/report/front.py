"""Which of some points are on the Pareto front."""

__all__ = ["front"]


def front(points, measures):
    """For each point whether no other is at least as good in every measure, and better in one.

    Parameters
    ----------
    points : {key: value} each; one without some measure (missing or None) is not on the front and beats none
    measures : {key: "less" or "more", which of the two is better}
    """
    ranks = [None if any(point.get(key) is None for key in measures) else
             tuple(point[key] if better == "less" else -point[key] for key, better in measures.items()) for point in points]
    known = {rank for rank in ranks if rank is not None}
    return [rank is not None and not any(other != rank and all(a <= b for a, b in zip(other, rank, strict=True))
                                         for other in known) for rank in ranks]
