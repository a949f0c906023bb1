"""The process that brings Google's copies of our passes up to date."""
