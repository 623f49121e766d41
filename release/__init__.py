"""Releases: what packages say of themselves, whether what was built is fit to be published, and its notes."""
