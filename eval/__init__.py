"""Does it work: evaluation of editors, and the parametric baselines."""
