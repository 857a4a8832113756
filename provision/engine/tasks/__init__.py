"""What can be done with the devices of a fleet, one task a file; see `engine.task.Task`."""
