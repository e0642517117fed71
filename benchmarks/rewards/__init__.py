"""How far learned rewards can be trusted, and how well policies learn from them."""
