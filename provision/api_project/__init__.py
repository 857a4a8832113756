"""The part of the API that is about what is on disk: projects, runs to be gone on with, plans."""
