"""How good a model is: what it follows, fills, gives back of its training, and costs, all measured."""
