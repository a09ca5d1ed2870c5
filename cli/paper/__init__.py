"""`acceltran paper`: the claims of the paper, and what is measured or modelled here in their place."""
