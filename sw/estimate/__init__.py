"""Performance: how long programs take, without RTL."""
