"""The process that tells phones: one channel per pass type, each independent of the others."""
