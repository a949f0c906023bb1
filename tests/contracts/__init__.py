"""Every adapter and emulator against its protocol."""
