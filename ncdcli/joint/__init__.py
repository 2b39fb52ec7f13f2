"""Methods that train representation and classifier together, one file each."""
