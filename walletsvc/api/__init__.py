"""The REST interface, and its documentation made from the same declarations."""
