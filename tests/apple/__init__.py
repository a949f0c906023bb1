"""Tests of Apple's side: packages, the web service, pushes."""
