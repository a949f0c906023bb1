"""Who issues and accepts: organisations and their branches."""
