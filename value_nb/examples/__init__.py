"""A model, a probe and a data set of one's own, in the fewest lines that are whole; notebook 09 runs them."""
