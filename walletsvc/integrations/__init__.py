"""The edges towards outside systems that call us: one package for each."""
