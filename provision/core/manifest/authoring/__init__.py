"""Manifests as this tool writes them: a first one, and devices added to one that is there, of which
every byte stays as it was written.
"""
