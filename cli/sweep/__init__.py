"""`acceltran sweep`: many settings, each a row of a table.

Only ``estimates.py`` and what the command makes of it know what is done with a point; reading points, running them on Dask and
keeping their rows is for any function.
"""
