"""Proves that the service loses nothing and answers nothing wrong while everything around it fails."""
