"""pyserial URL handlers for tests."""
