"""The conditions of a programme, as its customers read them."""
