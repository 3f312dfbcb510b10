"""Does a stored edit govern this query? Recall finds candidates, a pair decision gives each a probability."""
