"""`acceltran estimate`: what a setting takes, without RTL."""
