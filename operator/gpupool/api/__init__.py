"""The contract with users: models of our kinds, and what is generated from them."""
