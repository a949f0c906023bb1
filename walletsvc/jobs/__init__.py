"""Work that happens after a commit: the change log and its drain, signals, the schedule."""
