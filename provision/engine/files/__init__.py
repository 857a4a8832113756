"""Files of boards that are looked at and copied, whatever the manifest says of them."""
