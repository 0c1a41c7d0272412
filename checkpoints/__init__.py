"""Weight files: cards, and the store that finds and verifies them."""
