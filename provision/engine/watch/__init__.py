"""Boards kept in step with a project while somebody edits it."""
