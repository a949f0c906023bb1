"""Why a phone does not show the newest state of a pass."""
