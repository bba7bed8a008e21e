"""Small programs behind the Makefile. Standard library only, so that they run before anything is installed."""
