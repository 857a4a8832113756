"""What is the user's own and no project's: the configuration file, and what it names to be run."""
