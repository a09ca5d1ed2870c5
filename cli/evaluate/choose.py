"""Choose how hard to prune, on sentences that nothing is reported on."""

__all__ = ["choose"]


def choose(runs, prunings, budget):
    """The last strength up to which no more accuracy than the budget is lost, in the float model.

    Parameters
    ----------
    runs : FloatRuns
    prunings : {strength: pruning of `FloatEncoder.run`}, from the weakest to the strongest
    budget : accuracy, in points

    Returns
    -------
    the strength, or None if already the weakest loses more
    """
    chosen = None
    for strength, prune in prunings.items():
        if runs.loss(runs.run(prune)) > budget:
            break
        chosen = strength
    return chosen
