"""Lists that people send for bulk work, as spreadsheets save them: rows of cells, and values."""
